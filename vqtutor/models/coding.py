"""Code maps as bytes, with a prior and a range coder, in a file that knows its model (lesson 08).

The writer and the reader run the same prior. Its results have to be the same to the last bit, or all codes after the
first difference are other codes. Three things see to that: both sides call the same function on maps of the same shape;
logits are rounded before anything is made of them; and a checksum of the maps says when it went wrong anyway.
("Integer Networks for Data Compression with Latent-Variable Models", Ballé, Johnston and Minnen, 2019.)
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np
from jax import Array

TOTAL = 2**16  # to which the frequencies of a place add up: 64 codes that are never used cost 0.0014 bits
STEP = 1 / 8  # to which logits are rounded, which costs 0.001 bits a code
MAGIC, VERSION = b"VQ", 1
_HEAD = struct.Struct(
    ">2sBHBBIH"
)  # magic, version, N, H, W, model, checksum of the maps; then a CRC-32 of it and the rest
HEADER = _HEAD.size + 4  # bytes

Logits = Callable[[Any], Any]  # int [N, H, W] -> [N, H, W, K], causal in raster order


class Writer(Protocol):
    """What takes codes [N] and their frequencies [N, K]."""

    def write(self, symbols: np.ndarray, counts: np.ndarray) -> None: ...


class Reader(Protocol):
    """What takes frequencies [N, K] and gives codes [N] back."""

    def read(self, counts: np.ndarray) -> np.ndarray: ...


def _shares(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts, np.float64)
    return counts / counts.sum(axis=-1, keepdims=True)  # exact: the totals are powers of two


def _stream() -> Any:
    import constriction  # of Rust, and quickly loaded; only this lesson needs it

    return constriction.stream


def _model() -> Any:
    return _stream().model.Categorical(perfect=False)


class RangeWriter:
    """A range coder that writes; `constriction` does the work (Bamler, 2022; Martin, 1979, has the idea).

    writer.write(symbols, counts)   # codes int [N], and their frequencies [N, K]; the first come out first
    writer.finish()                 # bytes
    """

    def __init__(self):
        self._coder = _stream().queue.RangeEncoder()

    def write(self, symbols: np.ndarray, counts: np.ndarray) -> None:
        """Write codes int [N] that have frequencies [N, K], whole numbers of at least 1."""
        self._coder.encode(np.ravel(symbols).astype(np.int32), _model(), _shares(counts))

    def finish(self) -> bytes:
        """Return all that was written: four bytes at most more than the codes' information."""
        return self._coder.get_compressed().astype(">u4").tobytes()


class RangeReader:
    """Reads what a RangeWriter wrote.

    reader = RangeReader(payload)
    reader.read(counts)             # codes int32 [N], for the frequencies [N, K] that they were written with

    Args:
      payload: bytes.
    Raises:
      ValueError: in `read`, where these bytes cannot come from such frequencies.
    """

    def __init__(self, payload: bytes):
        words = payload[: len(payload) // 4 * 4]
        self._coder = _stream().queue.RangeDecoder(np.frombuffer(words, ">u4").astype(np.uint32))

    def read(self, counts: np.ndarray) -> np.ndarray:
        """Return the next codes int32 [N], whose frequencies are [N, K]."""
        try:
            return np.asarray(self._coder.decode(_model(), _shares(counts)), np.int32)
        except AssertionError as error:  # constriction's, for bytes that no code leads to
            raise ValueError("These bytes were written with other frequencies, or they are damaged.") from error


def frequencies(logits: Any, total: int = TOTAL) -> np.ndarray:
    """Return whole numbers [..., K], each at least 1, that add up to `total` and are near softmax(logits) * total.

    Logits that differ by less than rounding sees give the same numbers, whatever the batch is that they come in.

    Args:
      logits: [..., K]; they are rounded to multiples of 1/8.
      total: K or more.
    Raises:
      ValueError: the total is smaller than K.
    """
    rounded = np.round(np.asarray(logits, np.float64) / STEP) * STEP
    num_codes = rounded.shape[-1]
    if total < num_codes:
        raise ValueError(f"{num_codes} codes need a total of {num_codes} at least, and it is {total}.")
    shares = np.exp(rounded - rounded.max(axis=-1, keepdims=True))
    shares = shares / shares.sum(axis=-1, keepdims=True)
    counts = 1 + np.floor(shares * (total - num_codes)).astype(int)
    rest = total - counts.sum(axis=-1, keepdims=True)
    likeliest = shares.argmax(axis=-1)[..., None]
    return counts + rest * (np.arange(num_codes) == likeliest)


def encode_maps(logits_fn: Logits, indices: Any, writer: Writer) -> None:
    """Write code maps int [N, H, W] place by place in raster order, all maps at each place, with one run of the prior.

    Args:
      logits_fn: int [N, H, W] -> [N, H, W, K], causal.
      indices: int [N, H, W].
      writer: gets codes [N] and frequencies [N, K], H * W times.
    """
    counts = frequencies(logits_fn(indices))
    for row, column in np.ndindex(*indices.shape[1:]):
        writer.write(indices[:, row, column], counts[:, row, column])


def decode_maps(logits_fn: Logits, shape: tuple[int, int, int], reader: Reader) -> np.ndarray:
    """Return the code maps int32 [N, H, W] that `encode_maps` wrote, with H * W runs of the prior.

    Args:
      logits_fn: the same function as for writing: a run on another batch, or in another program, has other last digits.
      shape: (N, H, W).
      reader: gives codes [N] for frequencies [N, K].
    """
    indices = np.zeros(shape, np.int32)
    for row, column in np.ndindex(*shape[1:]):
        logits = np.asarray(logits_fn(indices))
        indices[:, row, column] = reader.read(frequencies(logits[:, row, column]))
    return indices


def overhead(num_bytes: int, nats_per_code: float, shape: tuple[int, int, int]) -> float:
    """Return by which share a stream of bytes is longer than a prior's nats ask for, for maps of shape (N, H, W)."""
    return float(8 * num_bytes / (nats_per_code * np.prod(shape) / np.log(2)) - 1)


def fingerprint(params: Any) -> int:
    """Return the CRC-32 of all weights: of their float32 bytes, in the order of jax.tree.leaves."""
    return zlib.crc32(b"".join(np.asarray(leaf, np.float32).tobytes() for leaf in jax.tree.leaves(params)))


def checksum(indices: Any) -> int:
    """Return the last 16 bits of the CRC-32 of code maps, int [N, H, W]."""
    return zlib.crc32(np.asarray(indices, ">i4").tobytes()) & 0xFFFF


def write_file(payload: bytes, shape: tuple[int, int, int], model: int, checksum: int) -> bytes:
    """Return a file: 17 bytes of header, then the payload.

    Args:
      payload: of any length.
      shape: (N, H, W), up to 65,535 maps of 255 x 255.
      model: its fingerprint.
      checksum: of the maps, 16 bits.
    Raises:
      ValueError: a number does not fit into the header.
    """
    try:
        head = _HEAD.pack(MAGIC, VERSION, *shape, model, checksum)
    except struct.error as error:
        raise ValueError(f"A header cannot hold maps of shape {tuple(shape)}.") from error
    return head + struct.pack(">I", zlib.crc32(head + payload)) + payload


def read_file(data: bytes, model: int) -> tuple[bytes, tuple[int, int, int], int]:
    """Return (payload, shape, checksum) of a file that `write_file` made with this model.

    Raises:
      ValueError: it is another format or version, cut off, damaged, or of another model; the message is a sentence.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("This is no file of this format: it begins with other bytes.")
    if len(data) < HEADER:
        raise ValueError("The file is cut off within its header.")
    _, version, *shape, maker, checksum = _HEAD.unpack(data[: _HEAD.size])
    (whole,) = struct.unpack(">I", data[_HEAD.size : HEADER])
    if version != VERSION:
        raise ValueError(f"The file has version {version}, and this reads version {VERSION}.")
    if zlib.crc32(data[: _HEAD.size] + data[HEADER:]) != whole:
        raise ValueError("The file is damaged, or a part of it is missing.")
    if maker != model:
        raise ValueError(f"Another model made the file: its fingerprint is {maker:08x}, and yours {model:08x}.")
    return data[HEADER:], tuple(shape), checksum


def safe_shift(logits: Array, step: float = STEP, margin: float = 1e-4) -> int:
    """Return the first i from 0 to 15 for which no logit, moved by i * step / 16, is near a border of rounding, or -1.

    Where writer and reader add this shift, differences below the margin cannot change what logits are rounded to.

    Args:
      logits: [...].
      step: to whose multiples they are rounded; borders lie half way between.
      margin: the distance up to which a logit is near.
    """
    for i in range(16):
        behind = (np.asarray(logits, np.float64) + i * step / 16 + step / 2) % step
        if np.all(np.minimum(behind, step - behind) > margin):
            return i
    return -1


def save_maps(logits_fn: Logits, indices: Any, model: int) -> bytes:
    """Return a file of code maps int [N, H, W], written with a prior whose fingerprint is `model`."""
    writer = RangeWriter()
    encode_maps(logits_fn, indices, writer)
    return write_file(writer.finish(), indices.shape, model, checksum(indices))


def load_maps(logits_fn: Logits, data: bytes, model: int) -> np.ndarray:
    """Return the code maps int32 [N, H, W] of a file that `save_maps` made with this prior.

    Raises:
      ValueError: as `read_file`; or the maps are not those that were written, because the prior computes something else
        here than it did there.
    """
    payload, shape, written = read_file(data, model)
    indices = decode_maps(logits_fn, shape, RangeReader(payload))
    if checksum(indices) != written:
        raise ValueError("The prior computes something else here than where the file was written: the codes are lost.")
    return indices
