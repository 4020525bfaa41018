"""The public data sets of the course: their origin, the addresses of the original files, and their digests."""

from collections.abc import Mapping
from dataclasses import dataclass

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class PublicSet:
    """One public set of 28 x 28 grey images in ten classes, as four gzipped IDX files.

    Attributes:
      name: for `load_dataset`.
      title: the usual name.
      about: the contents of the pictures, their authors and year, and their licence.
      url: the folder on the web that holds the four files.
      sha256: file name -> digest, the same as in TensorFlow Datasets.
      class_names: names of the labels 0-9.
      partial: an `.npz` with fewer training images (arrays `train_x`, `train_y`, `test_x`, `test_y`) and its sha256,
        used when the complete files are not on disk.
    """

    name: str
    title: str
    about: str
    url: str
    sha256: Mapping[str, str]
    class_names: tuple[str, ...]
    partial: tuple[str, str] | None = None


def _digests(train_images: str, train_labels: str, test_images: str, test_labels: str) -> dict[str, str]:
    names = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    return dict(zip(names, (train_images, train_labels, test_images, test_labels), strict=True))


MNIST = PublicSet(
    name="mnist",
    title="MNIST",
    about="handwritten digits (LeCun, Cortes and Burges, 1998; CC BY-SA 3.0)",
    url="https://storage.googleapis.com/cvdf-datasets/mnist/",
    sha256=_digests(
        train_images="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        train_labels="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        test_images="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        test_labels="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    class_names=DIGITS,
)

KMNIST = PublicSet(
    name="kmnist",
    title="Kuzushiji-MNIST",
    about="cursive hiragana from old Japanese books (Clanuwat et al., 2018; CODH; CC BY-SA 4.0)",
    url="http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    sha256=_digests(
        train_images="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        train_labels="e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        test_images="edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        test_labels="20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    partial=(
        "kmnist_genuine_train7011_test10000.npz",
        "35710358c0a2024818e0c9bb5409420f62b8bd1e2e51bf60ae9a6727c10121a9",
    ),
)

FASHION_MNIST = PublicSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    about="articles of clothing (Xiao, Rasul and Vollgraf, 2017; Zalando; MIT licence)",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    sha256=_digests(
        train_images="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        train_labels="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        test_images="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        test_labels="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)

PUBLIC = {public.name: public for public in (MNIST, KMNIST, FASHION_MNIST)}
