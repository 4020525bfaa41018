"""Lesson 08: the answers, as a student would write them."""

import struct
import zlib

import jax
import numpy as np


def frequencies(logits, total=2**16):
    """Return whole numbers [..., K], each at least 1, that add up to `total` and are near softmax(logits) * total.

    Logits [..., K] are rounded to multiples of 1/8 first, so that their last digits do not matter.
    """
    # Write your answer below, with NumPy.
    ### BEGIN SOLUTION
    rounded = np.round(8 * np.asarray(logits, np.float64)) / 8
    shares = np.exp(rounded - rounded.max(axis=-1, keepdims=True))
    shares = shares / shares.sum(axis=-1, keepdims=True)
    num_codes = shares.shape[-1]
    counts = 1 + np.floor(shares * (total - num_codes)).astype(int)
    rest = total - counts.sum(axis=-1, keepdims=True)
    likeliest = shares.argmax(axis=-1)[..., None]
    return counts + rest * (np.arange(num_codes) == likeliest)
    ### END SOLUTION


def encode_maps(logits_fn, indices, writer):
    """Write code maps int [N, H, W] place by place in raster order, with one run of the prior.

    writer.write(symbols, counts) takes the codes of all maps at one place, int [N], and their frequencies, [N, K].
    """
    # Write your answer below.
    ### BEGIN SOLUTION
    counts = frequencies(logits_fn(indices))
    for row, column in np.ndindex(*indices.shape[1:]):
        writer.write(indices[:, row, column], counts[:, row, column])
    ### END SOLUTION


def decode_maps(logits_fn, shape, reader):
    """Return the code maps int [N, H, W] that a reader holds, for a shape (N, H, W).

    reader.read(counts) takes the frequencies of one place of all maps, [N, K], and returns its codes, int [N].
    """
    # Write your answer below.
    ### BEGIN SOLUTION
    indices = np.zeros(shape, np.int32)
    for row, column in np.ndindex(*shape[1:]):
        logits = np.asarray(logits_fn(indices))
        indices[:, row, column] = reader.read(frequencies(logits[:, row, column]))
    return indices
    ### END SOLUTION


def overhead(num_bytes, nats_per_code, shape):
    """Return by which share a stream of bytes is longer than a prior's nats ask for, for maps of shape (N, H, W)."""
    # Write your answer below.
    ### BEGIN SOLUTION
    bits = nats_per_code * np.prod(shape) / np.log(2)
    return 8 * num_bytes / bits - 1
    ### END SOLUTION


def fingerprint(params):
    """Return the CRC-32 of all weights, an int: of their float32 bytes, in the order of jax.tree.leaves."""
    # Write your answer below.
    ### BEGIN SOLUTION
    leaves = jax.tree.leaves(params)
    return zlib.crc32(b"".join(np.asarray(leaf, np.float32).tobytes() for leaf in leaves))
    ### END SOLUTION


def write_file(payload, shape, model, checksum):
    """Return a file: 17 bytes of header, then the payload.

    The header: b"VQ"; the version, 1; N, H and W; the model's fingerprint; a checksum of the code maps; and a CRC-32 of
    the 13 bytes before it and the payload. Numbers take 1, 2, 1, 1, 4, 2 and 4 bytes, the largest digits first.
    """
    head = struct.pack(">2sBHBBIH", b"VQ", 1, *shape, model, checksum)
    return head + struct.pack(">I", zlib.crc32(head + payload)) + payload


def read_file(data, model):
    """Return (payload, shape, checksum) of a file that write_file made with this model; else raise ValueError."""
    # Write your answer below. struct.unpack is the other way round.
    ### BEGIN SOLUTION
    if data[:2] != b"VQ":
        raise ValueError("This is no file of this format: it begins with other bytes.")
    if len(data) < 17:
        raise ValueError("The file is cut off within its header.")
    version, *shape, maker, checksum, whole = struct.unpack(">2xBHBBIHI", data[:17])
    if version != 1:
        raise ValueError(f"The file has version {version}, and this reads version 1.")
    if zlib.crc32(data[:13] + data[17:]) != whole:
        raise ValueError("The file is damaged, or a part of it is missing.")
    if maker != model:
        raise ValueError(f"Another model made the file: its fingerprint is {maker:08x}, and yours {model:08x}.")
    return data[17:], tuple(shape), checksum
    ### END SOLUTION


def safe_shift(logits, step=1 / 8, margin=1e-4):
    """Return the first i from 0 to 15 for which no logit, moved by i * step / 16, is near a border; -1 if none is.

    Borders lie half way between multiples of `step`; near is `margin` or less.
    """
    # Write your answer below.
    ### BEGIN SOLUTION
    for i in range(16):
        behind = (np.asarray(logits, np.float64) + i * step / 16 + step / 2) % step
        if np.all(np.minimum(behind, step - behind) > margin):
            return i
    return -1
    ### END SOLUTION
