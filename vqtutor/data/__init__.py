"""Data sets of the lessons: generated pen-stroke digits and the public sets."""

from vqtutor.data.datasets import NAMES, Dataset, load_dataset

__all__ = ["NAMES", "Dataset", "load_dataset"]
