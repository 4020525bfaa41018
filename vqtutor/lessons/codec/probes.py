"""Probes of lesson 08. They know nothing of an entropy coder: what is written, and read, goes through one of theirs."""

import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking.exercise import Probe
from vqtutor.lessons.inputs import array

# -- frequencies ------------------------------------------------------------------------------------------------------

_rng = np.random.default_rng(8)
# No farther than a fifth of a step from multiples of 1/8, so that something may be subtracted before rounding.
_near = (_rng.integers(-40, 24, (2, 3, 6)) + _rng.uniform(-0.2, 0.2, (2, 3, 6))) / 8
_near[..., 0] = np.round(8 * _near).max(axis=-1) / 8 + np.float64([[0.25, 1.5, 0.5], [2.0, 0.125, 1.0]])
_LOGITS = array(_near.astype(np.float32))
_NOISY = array((_near + _rng.uniform(-0.01, 0.01, _near.shape)).astype(np.float32))
_SURE = array([[300.0, 280.0, 0.0, -300.0], [-1000.0, -1000.25, -1000.5, -1016.0]], np.float32)
_MANY = 2**28  # so many that it does not matter where the few left over go


def _counted(answer, logits, *total):
    return np.asarray(answer(logits, *total), np.float64)


def _sums(answer):
    arrays = {}
    cases = {"maps": _LOGITS, "one place": _LOGITS[0, 0], "a batch of one": _LOGITS[:1, :1], "sure of a code": _SURE}
    for name, logits in cases.items():
        for total in (2**16, 1000):
            counts = _counted(answer, logits, total)
            arrays[f"{name}, shape, total {total}"] = np.array(counts.shape)
            arrays[f"{name}, sums, total {total}"] = counts.sum(axis=-1)
            arrays[f"{name}, whole numbers, total {total}"] = bool(np.all(counts == np.round(counts)))
            arrays[f"{name}, every code can be written, total {total}"] = bool(np.all(counts >= 1))
    return arrays | {"sums without a total": _counted(answer, _LOGITS).sum(axis=-1)}


def _shares(answer):
    return {
        "shares": _counted(answer, _LOGITS, _MANY) / _MANY,
        "shares at one place": _counted(answer, _LOGITS[1, 2], _MANY) / _MANY,
        "shares, sure of a code": _counted(answer, _SURE, _MANY) / _MANY,
        "near softmax with a total of 65,536": bool(
            np.all(np.abs(_counted(answer, _LOGITS, 2**16) - _counted(answer, _LOGITS, _MANY) / 2**12) < 9)
        ),
    }


def _same(answer):
    counts = _counted(answer, _LOGITS, 2**16)
    alone = np.stack([[_counted(answer, place, 2**16) for place in row] for row in _LOGITS])
    return {
        "the last digits of a logit do not matter": bool(np.all(counts == _counted(answer, _NOISY, 2**16))),
        "a place alone gives what it gives among others": bool(np.all(alone == counts)),
    }


# -- encode_maps, decode_maps -----------------------------------------------------------------------------------------

# A prior whose logits are 0 to 4 in some order, which depends on the place and on the code before it. Their shares, to
# a tenth, are 0, 0, 0.1, 0.2 and 0.6, far from the next tenth.
SHAPE, CODES = (3, 2, 4), 5
_ORDER = _rng.permuted(np.tile(np.arange(5.0), (9, CODES, 1)), axis=-1)
_MAPS = _rng.integers(0, CODES, SHAPE)


class _Prior:
    """Gives other logits when it does not run as it was given: with another shape, or as a part of another program."""

    def __init__(self, shape):
        self.shape, self.runs, self.as_given, self.seen = shape, 0, True, []

    def __call__(self, indices):
        traced = isinstance(indices, jax.core.Tracer)
        xp = jnp if traced else np
        self.runs += 1
        as_given = not traced and tuple(indices.shape) == self.shape
        self.as_given &= as_given
        indices = indices if traced else np.asarray(indices)
        if not traced:
            self.seen.append(indices.copy())
        flat = indices.reshape(len(indices), -1)
        before = xp.concatenate([xp.zeros_like(flat[:, :1]), flat[:, :-1]], axis=1)
        logits = xp.asarray(_ORDER)[np.arange(flat.shape[1]) % len(_ORDER), before].reshape(*indices.shape, CODES)
        logits = logits if as_given else xp.roll(logits, 1, axis=-1)
        return logits if traced else array(logits, np.float32)


def _tenths(counts):
    counts = np.asarray(counts, np.float64).reshape(-1, CODES)
    return np.round(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), 1)


class _Coder:
    """A writer that keeps what it is given, and a reader that gives back what it was made with."""

    def __init__(self, codes=()):
        self.codes, self.at = list(codes), 0
        self.written, self.shares, self.whole = [], [], True

    def _keep(self, counts):
        counts = np.asarray(counts, np.float64).reshape(-1, CODES)
        self.shares.append(_tenths(counts))
        self.whole &= bool(np.all(counts == np.round(counts)) and np.all(counts.sum(axis=1) > 100))
        return len(counts)

    def write(self, symbols, counts):
        self.written.append(np.ravel(np.asarray(symbols)).astype(int))
        self._keep(counts)

    def read(self, counts):
        count = self._keep(counts)
        codes = (self.codes[self.at : self.at + count] + [0] * count)[:count]
        self.at += count
        return np.array(codes, np.int32)

    def arrays(self):
        return {
            "shares of the codes, to a tenth": np.concatenate(self.shares or [np.zeros((0, CODES))]),
            "frequencies are whole numbers": self.whole,
        }


def _encoded(answer, maps):
    prior, coder = _Prior(maps.shape), _Coder()
    answer(prior, array(maps, np.int32), coder)
    return prior, coder


def _written(answer):
    arrays = {}
    for name, maps in {"three maps": _MAPS, "one map": _MAPS[:1]}.items():
        _, coder = _encoded(answer, maps)
        arrays[f"{name}: codes, as they are written"] = np.concatenate(coder.written or [np.zeros(0, int)])
    return arrays


def _written_with(answer):
    prior, coder = _encoded(answer, _MAPS)
    return coder.arrays() | {"the prior sees whole maps": bool(prior.as_given and any(x.any() for x in prior.seen))}


def _runs(answer):
    return {"runs of the prior": _encoded(answer, _MAPS)[0].runs}


def _decoded(answer, maps):
    prior, coder = _Prior(maps.shape), _Coder(maps.reshape(len(maps), -1).T.ravel())
    return answer(prior, maps.shape, coder), prior, coder


def _read(answer):
    arrays = {}
    for name, maps in {"three maps": _MAPS, "one map": _MAPS[:1]}.items():
        found = _decoded(answer, maps)[0]
        arrays[name] = np.asarray(found, np.float32) if hasattr(found, "shape") else found
    return arrays


def _read_with(answer):
    return _decoded(answer, _MAPS)[2].arrays()


def _read_by(answer):
    prior = _decoded(answer, _MAPS)[1]
    return {"the prior runs as it was given, on the whole batch": prior.as_given}


# -- fingerprint ------------------------------------------------------------------------------------------------------

_WEIGHTS = {
    "second": {"w": _rng.normal(size=(3, 4)).astype(np.float32), "b": np.float32([0.5, -1.0, 2.0, 0.25])},
    "first": {"w": _rng.normal(size=(2, 3)).astype(np.float32).T, "scale": np.float32([3.0])},
}


def _bytes(number):
    """As four numbers, which are compared exactly; as -1 if it does not fit, as Python's hash, which is random."""
    number = int(number)
    return np.array([(number >> shift) % 256 if 0 <= number < 2**32 else -1 for shift in (24, 16, 8, 0)])


def _prints(answer):
    on_the_device = jax.tree.map(lambda leaf: array(leaf), _WEIGHTS)
    turned = {name: dict(reversed(own.items())) for name, own in reversed(_WEIGHTS.items())}
    return {
        "of NumPy arrays": _bytes(answer(_WEIGHTS)),
        "of JAX arrays": _bytes(answer(on_the_device)),
        "of the same weights in another order of making": _bytes(answer(turned)),
        "of one layer": _bytes(answer(_WEIGHTS["second"])),
    }


def _changes(answer):
    """Bools: every small change is to be noticed."""
    usual, w = int(answer(_WEIGHTS)), _WEIGHTS["second"]["w"]
    other = lambda new: int(answer(_WEIGHTS | {"second": _WEIGHTS["second"] | {"w": new}}))  # noqa: E731
    nudged = w.copy()
    nudged[2, 3] = np.nextafter(nudged[2, 3], np.float32(9))
    return {
        "the last digit of one weight": other(nudged) != usual,
        "two weights exchanged": other(w[::-1]) != usual,
        "one sign": other(w * np.where(np.arange(4) == 1, -1, 1).astype(np.float32)) != usual,
        "nothing changed": other(w.copy()) == usual,
        "the same numbers as float64": other(w.astype(np.float64)) == usual,
    }


# -- read_file --------------------------------------------------------------------------------------------------------

_MODEL = 0x89ABCDEF


def _file(payload=b"\x00some bytes\xff", shape=(258, 7, 6), model=_MODEL, checksum=0xFEDC, version=1):
    head = struct.pack(">2sBHBBIH", b"VQ", version, *shape, model, checksum)
    return head + struct.pack(">I", zlib.crc32(head + payload)) + payload


def _contents(answer):
    arrays = {}
    for name, file in {
        "a file": _file(),
        "no payload": _file(b"", (1, 4, 4)),
        "long": _file(bytes(range(200))),
    }.items():
        payload, shape, checksum = answer(file, _MODEL)
        arrays[f"{name}: payload"] = np.frombuffer(bytes(payload), np.uint8).astype(int)
        arrays[f"{name}: shape"] = np.array([int(size) for size in shape])
        arrays[f"{name}: checksum"] = int(checksum)
    return arrays


def _outcome(answer, data, model=_MODEL):
    """0: taken for a good file; 1: refused in words; 2: refused without words; 3: stopped with something else."""
    try:
        answer(data, model)
    except ValueError as error:
        own = type(error) is ValueError or not type(error).__module__.startswith(("builtins", "struct"))
        return 1 if own and len(str(error)) > 9 else 2
    except Exception:
        return 3
    return 0


def _damaged(answer):
    file = _file()
    flipped = [file[:i] + bytes([file[i] ^ 4]) + file[i + 1 :] for i in range(len(file))]
    return {
        "each byte changed: in the header": np.array([_outcome(answer, one) for one in flipped[:17]]),
        "each byte changed: in the payload": np.array([_outcome(answer, one) for one in flipped[17:]]),
        "bytes added at the end": _outcome(answer, file + b"\0"),
        "two bytes of the payload exchanged": _outcome(answer, file[:18] + file[19:20] + file[18:19] + file[20:]),
    }


def _cut(answer):
    file = _file()
    return {
        "cut off within the header": np.array([_outcome(answer, file[:i]) for i in range(17)]),
        "cut off within the payload": np.array([_outcome(answer, file[:i]) for i in range(17, len(file))]),
    }


def _foreign(answer):
    return {
        "a file of another model": _outcome(answer, _file(), _MODEL - 1),
        "a file of another model, and the right one": _outcome(answer, _file(model=17), 17),
        "another version": _outcome(answer, _file(version=2)),
        "a picture in PNG": _outcome(answer, b"\x89PNG\r\n\x1a\n" + bytes(40)),
        "another format, with a checksum that fits": _outcome(answer, _sealed(b"XQ" + _file()[2:13])),
    }


def _sealed(head, payload=b"abc"):
    return head + struct.pack(">I", zlib.crc32(head + payload)) + payload


# -- safe_shift -------------------------------------------------------------------------------------------------------


def _shifts(answer):
    border = 1 / 16  # half way between 0 and 1/8
    return {
        "nothing is near a border": int(answer(array([[0.0, 0.25], [-1.0, 0.13]], np.float32))),
        "one on a border": int(answer(array([0.0, border], np.float32))),
        "one below a border": int(answer(array([[0.5 + border - 5e-5, 2.0]], np.float32))),
        "one below 0, on a border": int(answer(array([-3 / 16, 0.26], np.float32))),
        "the first shifts lead to a border": int(answer(array([border - i / 128 for i in range(3)], np.float32))),
        "a border just beyond the last": int(answer(array([border - i / 128 for i in range(15)], np.float32))),
    }


def _options(answer):
    everywhere = array(np.arange(64) / 256, np.float32)
    return {
        "no shift is safe": int(answer(everywhere, 1 / 8, 3e-3)),
        "one is safe with a smaller margin": int(answer(everywhere[1::2], 1 / 8, 1e-3)),
        "steps of 1": int(answer(array([0.5, 0.4375], np.float32), 1.0, 1e-3)),
        "steps of 1, a wide margin": int(answer(array([0.5, 1.4], np.float32), 1.0, 0.11)),
    }


PROBES = {
    "frequencies": (
        Probe("whole numbers that add up", _sums),
        Probe("shares", _shares),
        Probe("the same on both sides", _same),
    ),
    "encode_maps": (
        Probe("codes in order", _written),
        Probe("their frequencies", _written_with),
        Probe("one run", _runs),
    ),
    "decode_maps": (
        Probe("maps", _read),
        Probe("frequencies on the way", _read_with),
        Probe("the same program", _read_by),
    ),
    "overhead": (
        Probe("one map", lambda answer: {"one map": answer(13, 1.2, (1, 7, 7))}),
        Probe("many maps", lambda answer: {"many maps": answer(6_000, 0.8, (300, 4, 6))}),
    ),
    "fingerprint": (
        Probe("CRC-32", _prints),
        Probe("changes", _changes),
    ),
    "read_file": (
        Probe("contents", _contents),
        Probe("damage", _damaged),
        Probe("cut off", _cut),
        Probe("another's file", _foreign),
    ),
    "safe_shift": (
        Probe("logits in steps of 1/8", _shifts),
        Probe("other steps and margins", _options),
    ),
}
