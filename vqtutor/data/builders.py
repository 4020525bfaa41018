"""The public sets as TensorFlow Datasets builders that do not need TensorFlow.

TFDS's own `mnist` builders unzip and read with `tf.io.gfile`; these read the original files with NumPy, and store raw
tensors in array_record files. This module imports tensorflow_datasets; `prepared` imports it only when needed.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from vqtutor.data.catalogue import (
    FASHION_MNIST,
    KMNIST,
    MNIST,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    PublicSet,
)
from vqtutor.data.files import Arrays, read_split

FORMAT = "array_record"  # TFRecord, the default, can be read by TensorFlow only
BLOCK = 1000  # images per record: MNIST reads in 0.15 s, with one image per record in 2 s


class _IdxBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Four IDX files -> records of up to BLOCK images and their labels, in the files' own order."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The four original IDX files; `vqtutor.load_dataset` finds, or downloads, and verifies them."
    )
    public: PublicSet

    def _info(self) -> tfds.core.DatasetInfo:
        raw = tfds.features.Encoding.BYTES  # the default stores each pixel as a 64-bit number
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.public.title}: {self.public.about}, {BLOCK} examples a record.",
            homepage=self.public.url,
            features=tfds.features.FeaturesDict(
                {
                    "images": tfds.features.Tensor(shape=(None, 28, 28, 1), dtype=np.uint8, encoding=raw),
                    "labels": tfds.features.Tensor(shape=(None,), dtype=np.int32, encoding=raw),
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        folder = Path(dl_manager.manual_dir)
        return {
            "train": self._generate_examples(folder / TRAIN_IMAGES, folder / TRAIN_LABELS),
            "test": self._generate_examples(folder / TEST_IMAGES, folder / TEST_LABELS),
        }

    def _generate_examples(self, images: Path, labels: Path) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        x, y = read_split(images, labels)
        for start in range(0, len(x), BLOCK):
            yield start, {"images": x[start : start + BLOCK], "labels": y[start : start + BLOCK]}


class VqtutorMnist(_IdxBuilder):
    public = MNIST


class VqtutorKmnist(_IdxBuilder):
    public = KMNIST


class VqtutorFashionMnist(_IdxBuilder):
    public = FASHION_MNIST


BUILDERS = {builder.public.name: builder for builder in (VqtutorMnist, VqtutorKmnist, VqtutorFashionMnist)}


def read(public: PublicSet, cache: Path) -> Arrays:
    """Read a prepared set, in the original files' own order."""
    builder = _builder(public, cache)
    arrays = {}
    for split in ("train", "test"):
        source = tfds.data_source(
            builder.name, split=split, data_dir=cache / "tfds", builder_kwargs={"file_format": FORMAT}
        )
        records = source.__getitems__(range(len(source)))  # one call reads and decodes in parallel
        for part in ("images", "labels"):
            arrays[f"{split}_{part}"] = np.concatenate([record[part] for record in records])
    return arrays


def write(public: PublicSet, folder: Path, cache: Path) -> None:
    """Prepare the four verified files in `folder`; replaces an earlier copy, which may be damaged."""
    shutil.rmtree(_builder(public, cache).data_path, ignore_errors=True)
    builder = _builder(public, cache)  # a new builder, because a builder reads existing files when it is created
    config = tfds.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
    tfds.disable_progress_bar()  # half a second of work
    builder.download_and_prepare(download_config=config, file_format=FORMAT)


def _builder(public: PublicSet, cache: Path) -> _IdxBuilder:
    return BUILDERS[public.name](data_dir=cache / "tfds", file_format=FORMAT)
