"""What the lessons look at: pen-stroke digits drawn on the spot, and the public sets, behind one door."""

from vqtutor.data.datasets import NAMES, Dataset, load_dataset

__all__ = ["NAMES", "Dataset", "load_dataset"]
