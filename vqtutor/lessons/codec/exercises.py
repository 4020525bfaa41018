"""Lesson 08: what goes wrong in its exercises, what else is right, and what helps."""

import binascii
import math
import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.lessons.answers import reference
from vqtutor.lessons.entries import edit, exercise

_ROUNDED = "np.round(8 * np.asarray(logits, np.float64)) / 8"
_FLOATS = "np.asarray(logits, np.float64)"
_MAX = "rounded.max(axis=-1, keepdims=True)"
_FLOOR = "1 + np.floor(shares * (total - num_codes)).astype(int)"
_REST = "return counts + rest * (np.arange(num_codes) == likeliest)"


def _largest_remainders(logits, total=2**16):
    rounded = np.rint(np.asarray(logits, np.float64) * 8) / 8
    wanted = np.asarray(jax.nn.softmax(rounded), np.float64)
    wanted = wanted / wanted.sum(-1, keepdims=True) * (total - wanted.shape[-1])
    counts = np.floor(wanted).astype(np.int64)
    left = total - wanted.shape[-1] - counts.sum(-1, keepdims=True)
    ranks = np.argsort(np.argsort(counts - wanted, axis=-1, kind="stable"), axis=-1)
    return counts + 1 + (ranks < left)


def _place_by_place(logits, total=2**16):
    logits = np.asarray(logits)
    counts = np.zeros(logits.shape, np.int32)
    for place in np.ndindex(*logits.shape[:-1]):
        own = [round(8 * float(x)) for x in logits[place]]
        weights = [math.exp((x - max(own)) / 8) for x in own]
        whole = [max(1, round(total * w / sum(weights))) for w in weights]
        whole[int(np.argmax(whole))] += total - sum(whole)
        counts[place] = whole
    return counts


def _of_borders(logits, total=2**16):
    """Through the cumulative shares, whose differences add up by themselves."""
    rounded = np.round(np.asarray(logits, np.float64) * 8) / 8
    shares = np.exp(rounded - rounded.max(axis=-1, keepdims=True))
    places = np.arange(1, shares.shape[-1] + 1)
    ends = np.cumsum(shares, axis=-1) / shares.sum(axis=-1, keepdims=True)
    borders = np.round(ends * (total - len(places))).astype(int) + places
    return np.diff(borders, axis=-1, prepend=0)


frequencies = exercise(
    "codec.frequencies",
    can="It turns logits into whole numbers that come out the same where a file is written and where it is read.",
    kind="decision", importance=3, difficulty=2, minutes=12,
    stuck="Take three codes with shares 0.7, 0.3 and 0.00001, and a total of 10: what should come out?",
    wrong={
        "zero is possible": (edit(_FLOOR, "np.floor(shares * total).astype(int)"),
            edit(_FLOOR, "np.round(shares * total).astype(int)"),
            "Some frequencies are 0. A code that the prior thinks impossible could not be written, and one day it "
            "occurs.",
            "Give every code 1 first, and share out what is left."),
        "does not add up": (edit(_REST, "return counts"),
            edit(_REST, "return np.maximum(1, np.round(shares * total)).astype(int)"),
            "The frequencies of a place do not add up to the total: rounding has lost a few, or made a few.",
            "What is missing can go to the likeliest code, which hardly notices."),
        "last digits matter": (edit(_ROUNDED, "np.asarray(logits, np.float64)"),
            "Logits that differ in their last digits give other frequencies. Written with one and read with the "
            "other, a file falls apart.",
            "Round the logits to multiples of 1/8 before anything else."),
        "probabilities rounded, not logits": (
            edit(_ROUNDED, _FLOATS,
                "    num_codes", "    shares = np.round(shares, 3)\n    num_codes"),
            edit(_ROUNDED, _FLOATS,
                "    num_codes", "    shares = np.round(8 * shares) / 8\n    num_codes"),
            "You round the probabilities. Rare codes, which differ by factors, become all the same.",
            "Round the logits: a step there is a factor, for rare codes and for frequent ones."),
        "rounded to eights": (edit("np.round(8 * np.asarray(logits, np.float64)) / 8",
                "8 * np.round(np.asarray(logits, np.float64) / 8)"),
            "You round to multiples of 8, not of 1/8: hardly anything is left of the logits.",
            "Multiply by 8, round, divide by 8."),
        "rounded to whole logits": (edit(_ROUNDED, "np.round(np.asarray(logits, np.float64))"),
            "You round the logits to whole numbers. A step of 1 is a factor of 2.7, which costs bits at every place.",
            "Multiply by 8, round, divide by 8."),
        "eight times as sure": (edit(_ROUNDED, _ROUNDED.removesuffix(" / 8")),
            "You multiply by 8 to round, and do not divide again: the prior comes out far too sure.",
            "Multiply by 8, round, divide by 8."),
        "logits too large for exp": (edit(f" - {_MAX}", ""),
            "exp of a logit of 300 is too large for a float, or exp of -1000 is 0: the shares are not numbers.",
            "A softmax does not change when the largest logit is subtracted from all."),
        "one softmax for all places": (edit("shares.sum(axis=-1, keepdims=True)", "shares.sum()"),
            "You divide by the sum over all places; the codes of each place should share the total.",
            "Sum over the last axis only, and keep it."),
        "each gets what is left over": (edit(_REST, "return counts + rest"),
            "What is left over is added to every code, so the sum is too large again.",
            "It goes to one code of each place."),
        "the total is ignored": (edit("(total -", "(2**16 -", "total - counts", "2**16 - counts"),
            "The frequencies add up to 65,536, whatever the total is.",
            "total is an argument."),
        "all equally frequent": (edit("np.exp(rounded", "np.exp(0 * rounded"),
            "All codes come out equally frequent: the logits have no influence.",
            "Shares are proportional to exp of a logit."),
        "shares, not whole numbers": (edit(_REST, "return shares * total"), edit(_REST, "return shares"),
            "These are fractions. Sums of fractions depend on the order in which they are added, those of whole "
            "numbers do not.",
            "Round down, and see what is left over."),
    },
    right={
        "largest remainders": _largest_remainders,
        "a loop over places": _place_by_place,
        "borders between codes": _of_borders,
        "subtracted before rounding": edit(
            _ROUNDED, f"{_FLOATS} - np.max(logits, axis=-1, keepdims=True)",
            "rounded - rounded", "np.round(8 * rounded) / 8 - rounded"),
        "the last code gets what is left over": edit("shares.argmax(axis=-1)[..., None]", "num_codes - 1"),
        "put_along_axis": edit(_REST,
            "np.put_along_axis(counts, likeliest, np.take_along_axis(counts, likeliest, -1) + rest, -1)\n"
            "    return counts"),
        "int32": edit(_REST, f"{_REST[:7]}({_REST[7:]}).astype(np.int32)"),
    },
    hints=(
        "np.round(8 * logits) / 8, as float64. Then a softmax over the last axis, with the largest logit subtracted.",
        "1 for every code, and of the total - K that are left, floor(share * (total - K)).",
        "The sum is a few too small. Add what is missing to the likeliest code of each place.",
    ),
)  # fmt: skip


def _list_of_places(logits_fn, indices, writer):
    logits = np.asarray(logits_fn(indices))
    number = logits.shape[0]
    symbols = np.asarray(indices).reshape(number, -1)
    counts = reference("codec.frequencies")(logits).reshape(number, symbols.shape[1], -1)
    for place in range(symbols.shape[1]):
        writer.write(symbols[:, place], counts[:, place])


_COUNTS = "frequencies(logits_fn(indices))"
_LOOP = "    for row, column in np.ndindex(*indices.shape[1:]):\n"
_WRITE = "writer.write(indices[:, row, column], counts[:, row, column])"

encode_maps = exercise(
    "codec.encode_maps",
    can="It writes code maps place by place, and runs the prior once.",
    kind="transcription", importance=3, difficulty=2, minutes=8,
    stuck="Write down, for two maps of 2 x 2, which codes are written first, second and third.",
    wrong={
        "map by map": (
            edit(_LOOP, "    for n, row, column in np.ndindex(*indices.shape):\n", _WRITE,
                "writer.write(indices[n, row, column][None], counts[n, row, column][None])"),
            edit(f"{_LOOP}        {_WRITE}",
                "    writer.write(indices.reshape(-1), counts.reshape(-1, counts.shape[-1]))"),
            "You finish one map before you begin the next. Whoever reads would have to run the prior for each map "
            "alone.",
            "At each place, write the codes of all maps at once."),
        "column by column": (edit(_LOOP, _LOOP.replace("row, column in", "column, row in").replace("[1:]", "[:0:-1]")),
            "You go down the columns; the prior goes along the rows.",
            "np.ndindex(H, W) is raster order."),
        "from the end": (edit("np.ndindex(*indices.shape[1:])", "reversed(list(np.ndindex(*indices.shape[1:])))"),
            "You begin at the last place. Whoever reads needs the first ones first: the prior asks for them.",
            "A range coder gives back first what was written first."),
        "a run for each place": (
            edit(f"    counts = {_COUNTS}\n", "", _WRITE, _WRITE.replace("counts[", f"{_COUNTS}[")),
            "You run the prior again for each place. All codes are known here, so one run gives the logits of all "
            "places.",
            "Call logits_fn before the loop."),
        "logits, not frequencies": (edit(_COUNTS, "np.asarray(logits_fn(indices))"),
            edit(_COUNTS, "np.asarray(jax.nn.softmax(logits_fn(indices)))"),
            "The writer gets logits, or probabilities; it wants the whole numbers of your frequencies.",
            "Which function did you write first in this lesson?"),
        "the prior sees nothing": (edit("logits_fn(indices)", "logits_fn(0 * indices)"),
            "The prior gets an empty map, so its frequencies do not depend on the codes.",
            "All codes are known here. Which of them a place may depend on is the masks' business."),
        "the next place's frequencies": (edit(f"    counts = {_COUNTS}\n",
                f"    counts = {_COUNTS}\n    flat = counts.reshape(len(counts), -1, counts.shape[-1])\n"
                "    counts = np.roll(flat, -1, 1).reshape(counts.shape)\n"),
            edit(f"    counts = {_COUNTS}\n",
                f"    counts = {_COUNTS}\n    flat = counts.reshape(len(counts), -1, counts.shape[-1])\n"
                "    counts = np.roll(flat, 1, 1).reshape(counts.shape)\n"),
            "The frequencies belong to another place than the code.",
            "The logits at a place are for the code at this very place: the first layer's mask sees to that."),
        "one table for all": (edit("counts[:, row, column])", "counts.mean(axis=(1, 2)).astype(int))"),
            edit("counts[:, row, column])", "counts[:, 0, 0])"),
            "Every place gets the same frequencies, as if the prior saw nothing.",
            "Frequencies of [N, H, W, K]: pick the place."),
        "another program": (edit("frequencies(logits_fn", "frequencies(jax.jit(logits_fn)"),
            edit("frequencies(logits_fn", "frequencies(jax.vmap(lambda one: logits_fn(one[None])[0])"),
            edit(_COUNTS, "np.concatenate([frequencies(logits_fn(one[None])) for one in indices])"),
            "The prior runs here in another program, or another batch, than where the file is read. Its logits then "
            "differ "
            "in their last digits.",
            "Call logits_fn itself, once, with all maps."),
    },
    right={
        "flat": _list_of_places,
        "two loops": edit(_LOOP + "        ",
            "    for row in range(indices.shape[1]):\n        for column in range(indices.shape[2]):\n            "),
        "place by place frequencies": edit(_COUNTS, "logits_fn(indices)", _WRITE,
            "writer.write(indices[:, row, column], frequencies(counts[:, row, column]))"),
        "numpy codes": edit("indices[:, row, column],", "np.asarray(indices)[:, row, column],"),
    },
    hints=(
        "One call of logits_fn, with all maps; one call of your frequencies.",
        "np.ndindex(H, W) goes through the places in raster order. At each, writer.write gets indices[:, row, "
        "column] and its "
        "frequencies.",
    ),
)  # fmt: skip


def _fill_flat(logits_fn, shape, reader):
    maps = jnp.zeros(shape, jnp.int32)
    for place in range(shape[1] * shape[2]):
        row, column = divmod(place, shape[2])
        counts = reference("codec.frequencies")(logits_fn(maps))[:, row, column]
        maps = maps.at[:, row, column].set(reader.read(counts))
    return maps


_LOGITS = "np.asarray(logits_fn(indices))"
_PLACES = "    for row, column in np.ndindex(*shape[1:]):\n"
_READ = "reader.read(frequencies(logits[:, row, column]))"

decode_maps = exercise(
    "codec.decode_maps",
    can="It reads code maps back, exactly, from the bytes and the prior alone.",
    kind="decision", importance=3, difficulty=3, minutes=12,
    stuck="Put `sample` of lesson 05 next to it: there a code was drawn at each place. What happens here instead?",
    wrong={
        "the prior sees an empty map": (
            edit(f"{_PLACES}        logits = {_LOGITS}", f"    logits = {_LOGITS}\n{_PLACES.rstrip()}"),
            edit("        indices[:, row, column] = reader", "        found.append(reader", "column]))", "column])))",
                "    indices = np.zeros(shape, np.int32)\n", "    found, indices = [], np.zeros(shape, np.int32)\n",
                "return indices", "return np.stack(found, axis=1).reshape(shape)"),
            "The prior sees an empty map at every place. A place's logits depend on the codes before it: they have to "
            "be read, and put into the map, before the prior runs.",
            "Run the prior again after each place, on the map so far."),
        "row by row": (edit(_PLACES, "    for row in range(shape[1]):\n", f"{_LOGITS}\n",
                f"{_LOGITS}\n        for column in range(shape[2]):\n    "),
            "You run the prior once for each row. Within a row, places depend on those to their left.",
            "Run the prior again after each place."),
        "map by map": (edit("    indices = np.zeros(shape, np.int32)\n",
                "    if shape[0] > 1:\n"
                "        return np.concatenate([decode_maps(logits_fn, (1, *shape[1:]), reader) for _ in "
                "range(shape[0])])\n"
                "    indices = np.zeros(shape, np.int32)\n"),
            edit(_PLACES, "    for n, row, column in np.ndindex(*shape):\n",
                "indices[:, row, column]", "indices[n, row, column]",
                "frequencies(logits[:, row, column]))", "frequencies(logits[n : n + 1, row, column]))[0]"),
            "You read one map after the other; they were written place by place, all maps together.",
            "reader.read takes the frequencies of a place of all maps, [N, K], and returns N codes."),
        "column by column": (
            edit(_PLACES, _PLACES.replace("row, column in", "column, row in").replace("[1:]", "[:0:-1]")),
            "You go down the columns; the codes were written along the rows.",
            "np.ndindex(H, W) is raster order."),
        "the next place's frequencies": (edit(_READ,
                "reader.read(frequencies(logits.reshape(len(logits), -1, logits.shape[-1])"
                "[:, (row * shape[2] + column + 1) % (shape[1] * shape[2])]))"),
            "The frequencies belong to another place than the one that you fill.",
            "The logits at a place are for the code at this very place."),
        "logits, not frequencies": (edit(_READ, "reader.read(logits[:, row, column])"),
            edit(_READ, "reader.read(jax.nn.softmax(logits[:, row, column]))"),
            "The reader gets logits, or probabilities; it wants the same whole numbers as the writer.",
            "Your frequencies, of the same logits."),
        "the likeliest code": (edit(_READ, "frequencies(logits[:, row, column]).argmax(axis=-1)"),
            "You take the likeliest code and never look at the file.",
            "reader.read says which code it was."),
        "only what is finished": (edit("logits_fn(indices)", "logits_fn(indices[:, : row + 1])"),
            edit("logits_fn(indices)", "logits_fn(indices[:, : row + 1, : shape[2]])"),
            edit(_LOGITS, "np.concatenate([np.asarray(logits_fn(one[None])) for one in indices])"),
            edit("logits_fn(indices)", "jax.jit(logits_fn)(indices)"),
            "The prior runs in another program than where the file was written: on a part of the map or of the batch, "
            "or inside another jit. Its logits then differ in their last digits, and now and then a frequency does.",
            "Call logits_fn itself, each time with the whole batch of whole maps."),
    },
    right={
        "jax.numpy": _fill_flat,
        "frequencies of all places": edit(f"{_LOGITS}", "frequencies(logits_fn(indices))",
            "frequencies(logits[:, row, column])", "logits[:, row, column]"),
        "another empty map": edit("np.zeros(shape, np.int32)", "np.ones(shape, int)"),
        "two loops": edit(_PLACES + "        logits", "    for row in range(shape[1]):\n"
            "      for column in range(shape[2]):\n        logits"),
    },
    hints=(
        "Begin with an empty map of this shape; what stands at places that are not read yet does not matter.",
        "At each place, in raster order: run logits_fn on the whole map, take the logits of this place, make "
        "frequencies "
        "of them, and put what reader.read returns into the map.",
    ),
)  # fmt: skip

overhead = exercise(
    "codec.overhead",
    can="It holds a file against what the prior promised.",
    kind="proof", importance=2, difficulty=1, minutes=4,
    stuck="A prior of 1 nat a code, two maps of 2 x 2: how many bits does it ask for? And how many are 2 bytes?",
    wrong={
        "nats taken for bits": (edit(" / np.log(2)", ""),
            "You hold bits against nats: a nat is 1.44 bits.",
            "How many nats is one bit?"),
        "times log 2": (edit("/ np.log(2)", "* np.log(2)"),
            "You multiply by log 2: a bit is the smaller unit, so there are more of them.",
            "One bit is log 2 = 0.69 nats."),
        "bytes taken for bits": (edit("8 * ", ""),
            "You hold bytes against bits.",
            "A byte has eight bits."),
        "one map": (edit("np.prod(shape)", "np.prod(shape[1:])"),
            "You count the places of one map; the stream holds N of them.",
            "shape is (N, H, W)."),
        "a ratio": (edit(" / bits - 1", " / bits"),
            "This is the ratio of the two; asked is by which share the stream is longer, 0 if it is not.",
            "What should come out when both are equal?"),
        "the other way round": (edit("8 * num_bytes / bits - 1", "1 - bits / (8 * num_bytes)"),
            edit("8 * num_bytes / bits - 1", "bits / (8 * num_bytes) - 1"),
            "You measure against the stream; the prior's bits are what it is measured by.",
            "Ten percent more than 100 is 110."),
        "a difference": (edit("8 * num_bytes / bits - 1", "8 * num_bytes - bits"),
            "This is how many bits there are too many; asked is their share.",
            "Divide by what the prior asks for."),
        "percent": (edit("8 * num_bytes / bits - 1", "100 * (8 * num_bytes / bits - 1)"),
            "These are percent; return the share, 0.01 for one percent.",
            "Do not multiply by 100."),
    },
    right={
        "a difference over the whole": lambda b, n, s:
            (8 * b - (bits := n * math.prod(s) * math.log2(math.e))) / bits,
        "bits of one code": lambda b, n, s: 8 * b / math.prod(s) / (n / math.log(2)) - 1,
        "in nats": lambda b, n, s: 8 * b * math.log(2) / (n * s[0] * s[1] * s[2]) - 1,
        "jax": lambda b, n, s: 8 * b / (n * jnp.prod(jnp.array(s)) / jnp.log(2.0)) - 1,
    },
    hints=(
        "The prior asks for nats_per_code * N * H * W nats. How many bits is that?",
        "8 * num_bytes, over these bits, minus 1.",
    ),
)  # fmt: skip


def _bit_by_bit(params):
    crc = 0
    for leaf in jax.tree_util.tree_leaves(params):
        crc = binascii.crc32(np.ascontiguousarray(leaf, dtype="<f4").data, crc)
    return np.uint32(crc)


_JOINED = 'b"".join(np.asarray(leaf, np.float32).tobytes() for leaf in leaves)'

fingerprint = exercise(
    "codec.fingerprint",
    can="It gives every set of weights a number, the same tomorrow and on another machine.",
    kind="transcription", importance=2, difficulty=1, minutes=5,
    stuck="Make the bytes of one array first, with .tobytes(), and look at zlib.crc32 of them.",
    wrong={
        "the sum of the weights": (edit(f"zlib.crc32({_JOINED})",
                "int(1e6 * abs(sum(np.sum(leaf) for leaf in leaves))) % 2**32"),
            "You add the weights up: two of them exchanged give the same number.",
            "CRC-32 of the bytes depends on every byte and its place."),
        "Python's hash": (edit("zlib.crc32(", "hash("),
            "hash is another number in every Python process, so tomorrow no file would fit its model.",
            "zlib.crc32 depends on nothing but the bytes."),
        "the shapes only": (edit("np.asarray(leaf, np.float32).tobytes()", "str(np.shape(leaf)).encode()"),
            "The fingerprint depends on the shapes only: two trainings of one network get the same.",
            "The bytes of the weights: np.asarray(leaf).tobytes()."),
        "the printed weights": (edit("np.asarray(leaf, np.float32).tobytes()", "str(leaf).encode()"),
            edit("np.asarray(leaf, np.float32).tobytes()", "repr(np.asarray(leaf, np.float32)).encode()"),
            "You take the weights as they are printed: digits are left out, and NumPy and JAX print differently.",
            "The bytes of the weights: np.asarray(leaf).tobytes()."),
        "the first layer only": (edit("for leaf in leaves", "for leaf in leaves[:1]"),
            edit("for leaf in leaves", "for leaf in leaves[-1:]"),
            "Only one array counts.",
            "jax.tree.leaves gives all of them: join their bytes."),
        "as they are kept": (edit("np.asarray(leaf, np.float32)", "np.asarray(leaf)"),
            "The bytes depend on how the weights are kept, as float64 or float32, though the numbers are the same.",
            "np.asarray(leaf, np.float32) first."),
        "in the order of making": (edit("jax.tree.leaves(params)",
                "[v for own in params.values() for v in (own.values() if isinstance(own, dict) else [own])]"),
            "The order of the dict counts, so the same weights can get two fingerprints.",
            "jax.tree.leaves sorts by name."),
        "checksums added": (edit(f"zlib.crc32({_JOINED})",
                "sum(zlib.crc32(np.asarray(leaf, np.float32).tobytes()) for leaf in leaves) % 2**32"),
            "You add up one CRC-32 for each array; asked is that of all bytes, one after the other.",
            'b"".join(...) makes one piece of several.'),
        "another checksum": (edit("zlib.crc32", "zlib.adler32"),
            "This is another checksum than CRC-32.",
            "zlib.crc32."),
    },
    right={
        "piece by piece": _bit_by_bit,
        "concatenated": lambda params: zlib.crc32(
            np.concatenate([np.ravel(np.asarray(leaf, np.float32)) for leaf in jax.tree.leaves(params)]).tobytes()
        ),
        "tree_flatten": edit("jax.tree.leaves(params)", "jax.tree_util.tree_flatten(params)[0]"),
        "masked": edit("zlib.crc32(", "0xFFFFFFFF & zlib.crc32("),
    },
    hints=(
        "jax.tree.leaves(params) lists all arrays. np.asarray(leaf, np.float32).tobytes() are the bytes of one.",
        'zlib.crc32(b"".join(...)).',
    ),
)  # fmt: skip


def _with_from_bytes(data, model):
    def number(begin, end):
        return int.from_bytes(data[begin:end], "big")

    if len(data) < 17 or data[:2] != b"VQ":
        raise ValueError("too short, or another format")
    if data[2] != 1 or zlib.crc32(data[:13] + data[17:]) != number(13, 17):
        raise ValueError("damaged, or of another version")
    if number(7, 11) != model:
        raise ValueError("made by another model")
    return data[17:], (number(3, 5), data[5], data[6]), number(11, 13)


class _BadFile(ValueError):
    pass


def _with_own_error(data, model):
    try:
        magic, version, n, h, w, maker, checksum, whole = struct.unpack_from(">2sBHBBIHI", data)
    except struct.error as error:
        raise _BadFile("shorter than its header") from error
    good = magic == b"VQ" and version == 1 and whole == zlib.crc32(data[17:], zlib.crc32(data[:13]))
    if not good:
        raise _BadFile("not a good file")
    if maker != model:
        raise _BadFile("the fingerprints differ")
    return memoryview(data)[17:], [n, h, w], checksum


def _guard(condition):
    """Return the lines that refuse a file when a condition holds, up to their message."""
    return f"    if {condition}:\n        raise ValueError("


_CRC = _guard("zlib.crc32(data[:13] + data[17:]) != whole") + '"The file is damaged, or a part of it is missing.")\n'
_SHORT = _guard("len(data) < 17") + '"The file is cut off within its header.")\n'
_MAGIC = _guard('data[:2] != b"VQ"') + '"This is no file of this format: it begins with other bytes.")\n'
_VERSION = _guard("version != 1") + 'f"The file has version {version}, and this reads version 1.")\n'
_MAKER = (
    _guard("maker != model")
    + 'f"Another model made the file: its fingerprint is {maker:08x}, and yours {model:08x}.")\n'
)

read_file = exercise(
    "codec.read_file",
    can="It takes a file apart, and refuses in words what it cannot trust.",
    kind="decision", importance=2, difficulty=2, minutes=12,
    stuck="Take a good file apart first, with struct.unpack and the format of write_file. Then ask what can be wrong.",
    wrong={
        "damage goes unnoticed": (edit(_CRC, ""),
            "A file with a changed byte, or without its end, is taken for a good one.",
            "Compare the CRC-32 in the header with that of the bytes it was made of."),
        "too short crashes": (edit(_SHORT, ""),
            edit(_SHORT, _SHORT.replace("17", "13")),
            "A file that ends within its header stops with an error of Python's, not with a sentence.",
            "Look at the length before you unpack."),
        "any model will do": (edit(_MAKER, ""),
            "A file of another model is read as if it were yours: its codes mean something else here.",
            "Compare its fingerprint with model."),
        "any version will do": (edit(_VERSION, ""),
            "A file of another version is read as if its layout were this one.",
            "The third byte is the version."),
        "any format will do": (edit(_MAGIC, ""),
            "The first two bytes are not looked at.",
            'Files of this format begin with b"VQ".'),
        "no sentence": (edit("raise ValueError(", "raise ValueError() if True else (", times=5),
            "The file is refused without a word.",
            "Say in a sentence what is wrong with it: ValueError(\"...\")."),
        "another error": (edit("raise ValueError(", "raise RuntimeError(", times=5),
            edit("raise ValueError(", "assert not (", times=5),
            "A file that is refused should raise ValueError, so that whoever calls can tell it from a mistake in the "
            "program.",
            "raise ValueError(\"...\")."),
        "nothing is raised": (edit("raise ValueError(", "return None, (0, 0, 0), (", times=5),
            "A bad file comes back as if it were a good one, with nothing in it.",
            "raise ValueError(\"...\")."),
        "smallest digits first": (edit('">2xBHBBIHI"', '"<2xBHBBIHI"',
                "!= whole", "!= struct.unpack('>I', data[13:17])[0]",
                "maker != model", "struct.unpack('>I', data[7:11])[0] != model"),
            "Numbers of several bytes are read from the wrong end.",
            "The largest digits come first: > in struct's formats."),
        "the header is left on": (edit("return data[17:]", "return data"), edit("return data[17:]", "return data[13:]"),
            "The payload that you return still has some of the header before it.",
            "The header is 17 bytes long."),
        "height and width exchanged": (edit("tuple(shape)", "(shape[0], shape[2], shape[1])"),
            "Height and width are exchanged.",
            "(N, H, W), in the order of the header."),
        "the other checksum": (edit("tuple(shape), checksum", "tuple(shape), whole"),
            edit("tuple(shape), checksum", "tuple(shape), maker"),
            "You return another number of the header than the checksum of the code maps.",
            "It is the one with two bytes."),
        "nothing passes": (edit("zlib.crc32(data[:13] + data[17:]) != whole", "zlib.crc32(data) != whole"),
            edit("zlib.crc32(data[:13] + data[17:]) != whole", "zlib.crc32(data[17:]) != whole"),
            "Good files are refused: your CRC-32 is of other bytes than write_file's.",
            "It is of the 13 bytes before it and the payload: not of itself."),
    },
    right={
        "from_bytes": _with_from_bytes,
        "an error of its own": _with_own_error,
        "struct.calcsize": edit("data[:17])", 'data[: struct.calcsize(">2xBHBBIHI")])'),
        "try": edit(_SHORT, "",
            "    version, *shape, maker, checksum, whole = struct.unpack(\">2xBHBBIHI\", data[:17])\n",
            "    try:\n        version, *shape, maker, checksum, whole = struct.unpack(\">2xBHBBIHI\", data[:17])\n"
            "    except struct.error:\n        raise ValueError(\"The header is not whole.\") from None\n"),
    },
    hints=(
        'struct.unpack(">2sBHBBIHI", data[:17]) gives the eight parts of the header. It fails on fewer bytes.',
        "What can be wrong: other first bytes, too short, another version, a CRC-32 that does not fit, another "
        "model. Each is a "
        "raise ValueError(\"...\").",
        "The CRC-32 is of data[:13] + data[17:].",
    ),
)  # fmt: skip


def _by_rounding(logits, step=1 / 8, margin=1e-4):
    logits = np.asarray(logits, np.float64)
    for i in range(16):
        moved = (logits + i * step / 16) / step
        away = np.abs(np.abs(moved - np.round(moved)) - 0.5) * step
        if away.min() > margin:
            return i
    return -1


def _by_nudging(logits, step=1 / 8, margin=1e-4):
    logits = np.asarray(logits, np.float64)
    for i in range(16):
        low, high = (np.round((logits + i * step / 16 + way * margin) / step) for way in (-1, 1))
        if np.array_equal(low, high):
            return i
    return -1


_BEHIND = "(np.asarray(logits, np.float64) + i * step / 16 + step / 2) % step"

safe_shift = exercise(
    "codec.safe_shift",
    can="It moves logits until small differences cannot change what they are rounded to.",
    kind="puzzle", importance=2, difficulty=3, minutes=15,
    stuck="Draw a line with the multiples of 1/8, and the borders half way between; then push three points right.",
    wrong={
        "near a multiple, not near a border": (edit(" + step / 2", ""),
            "You keep away from the multiples themselves. They are the safest places: it is half way between two "
            "that rounding tips.",
            "Where does np.round change its mind?"),
        "only above a border": (edit("np.minimum(behind, step - behind)", "behind"),
            "A logit just below a border is taken for safe.",
            "A border can be near on either side."),
        "only below a border": (edit("np.minimum(behind, step - behind)", "(step - behind)"),
            "A logit just above a border is taken for safe.",
            "A border can be near on either side."),
        "some logit is safe": (edit("np.all(", "np.any("),
            "One safe logit is enough for you; all of them have to be.",
            "np.all."),
        "shifts of a whole step": (edit("+ i * step / 16", "+ i * step"),
            "You move by whole steps, which changes nothing: every border lands on a border.",
            "i * step / 16."),
        "a step of 1/8 always": (edit("+ i * step / 16 + step / 2) % step", "+ i / 128 + 1 / 16) % (1 / 8)",
                "step - behind", "1 / 8 - behind"),
            "The step is an argument; you always use 1/8.",
            "Use step where you wrote 1/8."),
        "the margin is ignored": (edit("> margin", "> 1e-4"), edit("> margin", "> 0"),
            "The margin is an argument; you always use the same, or none.",
            "Compare the distance to the nearest border with margin."),
        "the shift, not its number": (edit("return i", "return i * step / 16"),
            "You return by how much to move; asked is the number i, which fits into half a byte.",
            "Return i."),
        "the last one": (edit("        if",
                "    found = -1\n    for i in range(16):\n        behind = " + _BEHIND + "\n        if",
                "return i", "found = i", "return -1", "return found"),
            edit("range(16)", "range(15, -1, -1)"),
            "You return the last safe shift; asked is the first.",
            "Return as soon as one is safe."),
        "gives up too early": (edit("range(16)", "range(4)"), edit("range(16)", "range(8)"),
            edit("range(16)", "range(15)"),
            "You do not try all shifts.",
            "i goes from 0 to 15."),
        "never gives up": (edit("return -1", "return 0"), edit("return -1", "return 15"),
            "Where no shift is safe, you return one all the same.",
            "Return -1."),
    },
    right={
        "distance to the nearest multiple": _by_rounding,
        "nudged both ways": _by_nudging,
        "JAX": edit("np.asarray(logits, np.float64)", "jnp.asarray(logits)",
            "np.all(np.minimum", "jnp.all(jnp.minimum"),
        "all shifts at once": lambda logits, step=1 / 8, margin=1e-4: int(next(iter(np.flatnonzero([
            np.all(np.abs((np.ravel(np.asarray(logits, float)) + i * step / 16) % step - step / 2) > margin)
            for i in range(16)
        ])), -1)),
    },
    hints=(
        "A softmax does not change when the same number is added to all logits. So reader and writer may agree on "
        "one to add.",
        "How far is a logit behind the last border? (logit + shift + step / 2) % step. And how far before the next?",
    ),
)  # fmt: skip
