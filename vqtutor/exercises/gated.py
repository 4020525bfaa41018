"""Lesson 06: two stacks without a blind spot, gates, conditions, and completing what is half known."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking import Exercise, Misconception, Probe
from vqtutor.exercises.masks import _number
from vqtutor.exercises.quantizer import pull_back
from vqtutor.models import gated as ref
from vqtutor.models import sampling

_rng = np.random.default_rng(8)


def _normal(*shape):
    return jnp.asarray(_rng.normal(size=shape).astype(np.float32))


# -- stack_masks ------------------------------------------------------------------------------------------------------


def _stacks(answer, mask_type):
    seen = {}
    for size in (3, 7):
        vertical, horizontal = answer(size, mask_type)
        seen |= {f"vertical, k = {size}": _number(vertical), f"horizontal, k = {size}": _number(horizontal)}
    return seen


def _masks(vertical=lambda v, k, kind: v, horizontal=lambda h, k, kind: h):
    """Return an answer that changes the right masks, as NumPy arrays."""

    def answer(kernel_size, mask_type):
        v, h = (mask.copy() for mask in ref.stack_masks(kernel_size, mask_type))
        return vertical(v, kernel_size, mask_type), horizontal(h, kernel_size, mask_type)

    return answer


def _centre_of_a_whole_kernel(mask, k, kind):
    """The published slip: the middle is taken at size // 2 along an axis that ends there, cut in half already."""
    mask[:] = 1
    flat, middle = mask.reshape(-1), mask.shape[0] // 2 * mask.shape[1] + mask.shape[1] // 2
    flat[middle + (kind == "B") :] = 0
    return mask


def _set(mask, where, value):
    mask[where] = value
    return mask


stack_masks = Exercise(
    id="gated.stack_masks",
    reference=ref.stack_masks,
    arguments=("kernel_size", "mask_type"),
    probes=(
        Probe("mask A", lambda answer: _stacks(answer, "A")),
        Probe("mask B", lambda answer: _stacks(answer, "B")),
    ),
    misconceptions=(
        Misconception(
            "middle of a half kernel",
            "You blank what comes after the middle of the kernel; but these kernels are cut in half, and the current "
            "row and place are at their end.",
            "Where in a kernel of k // 2 + 1 rows is the current one?",
            _masks(_centre_of_a_whole_kernel, _centre_of_a_whole_kernel),
            also=(
                _masks(vertical=_centre_of_a_whole_kernel),
                _masks(horizontal=_centre_of_a_whole_kernel),
            ),
        ),
        Misconception(
            "A and B swapped",
            "Your mask A keeps the current row and place, and your mask B blanks them.",
            "A is for the first block, which looks at codes.",
            lambda k, kind: ref.stack_masks(k, "AB"[kind == "A"]),
        ),
        Misconception(
            "nothing is blanked",
            "Every tap is 1, also in mask A: the first block would see its own code.",
            "What must the first block not see?",
            _masks(lambda v, k, kind: _set(v, slice(None), 1), lambda h, k, kind: _set(h, slice(None), 1)),
        ),
        Misconception(
            "always blanked",
            "The current row and place are blanked in mask B as well: later blocks forget what is right there.",
            "What is the difference between A and B?",
            lambda k, kind: ref.stack_masks(k, "A"),
        ),
        Misconception(
            "vertical sees the left of its own row",
            "In mask A the vertical kernel keeps the left half of the current row. That is the horizontal stack's "
            "work, and one block later it leaks the future.",
            "The vertical stack sees whole rows, and only those above.",
            _masks(vertical=lambda v, k, kind: _set(v, (-1, slice(0, k // 2)), 1)),
        ),
        Misconception(
            "only the current place of the vertical row",
            "In mask A the vertical kernel blanks the current place alone, and sees its row to the right.",
            "The vertical stack sees whole rows, and only those above.",
            _masks(vertical=lambda v, k, kind: _set(_set(v, -1, 1), (-1, k // 2), float(kind == "B"))),
        ),
        Misconception(
            "only one of the two",
            "One of the stacks does not listen to the mask type.",
            "In mask A both leave something out: a row, and a place.",
            _masks(horizontal=lambda h, k, kind: _set(h, slice(None), 1)),
            also=(_masks(vertical=lambda v, k, kind: _set(v, slice(None), 1)),),
        ),
        Misconception(
            "whole kernels",
            "The masks are as large as whole kernels; a half kernel has k // 2 + 1 rows, or columns.",
            "What lies behind the current row, or place, is never needed.",
            lambda k, kind: tuple(
                np.pad(mask, ((0, below), (0, right)))
                for mask, below, right in zip(ref.stack_masks(k, kind), (k // 2, 0), (0, k // 2), strict=True)
            ),
        ),
        Misconception(
            "the two swapped",
            "Vertical and horizontal have changed places.",
            "The vertical mask comes first: [k // 2 + 1, k].",
            lambda k, kind: ref.stack_masks(k, kind)[::-1],
        ),
        Misconception(
            "turned round",
            "The current row is taken to be the first, and the current place the leftmost.",
            "The kernel ends at the current row: everything before it lies above.",
            _masks(lambda v, k, kind: v[::-1].copy(), lambda h, k, kind: h[:, ::-1].copy()),
        ),
    ),
    alternatives={
        "concatenated": lambda k, kind: (
            jnp.concatenate([jnp.ones((k // 2, k)), jnp.full((1, k), float(kind == "B"))]),
            jnp.concatenate([jnp.ones((1, k // 2)), jnp.full((1, 1), float(kind == "B"))], axis=1),
        ),
        "bool": lambda k, kind: tuple(mask > 0 for mask in ref.stack_masks(k, kind)),
        "integers": lambda k, kind: tuple(mask.astype(int) for mask in ref.stack_masks(k, kind)),
        "comparing rows": lambda k, kind: (
            (np.arange(k // 2 + 1) < k // 2 + (kind == "B"))[:, None] * np.ones(k),
            ((np.arange(k // 2 + 1) < k // 2 + (kind == "B")) * 1.0)[None],
        ),
    },
    hints=(
        "Draw a 3 x 3 kernel and cut it below its middle row. Where is the current row now?",
        "Start from ones. In mask A the last row of the vertical one becomes 0, and the last column of the other.",
    ),
)

# -- gate -------------------------------------------------------------------------------------------------------------

_FEATURES = _normal(2, 3, 5, 6)


def _halves(features, axis=-1):
    return jnp.split(features, 2, axis=axis)


def _gate_of(of):
    return lambda features: of(*_halves(features))


gate = Exercise(
    id="gated.gate",
    reference=ref.gate,
    arguments=("features",),
    probes=(
        Probe("values", lambda answer: {"a map": answer(_FEATURES), "a list": answer(_FEATURES[0, 0])}),
        Probe("gradient", lambda answer: {"gradient": pull_back(answer, _FEATURES)[0]}),
    ),
    misconceptions=(
        Misconception(
            "halves swapped",
            "tanh is taken of the second half and the sigmoid of the first.",
            "The first half is the signal, the second opens the gate.",
            _gate_of(lambda a, b: jnp.tanh(b) * jax.nn.sigmoid(a)),
        ),
        Misconception(
            "no tanh",
            "The signal goes through as it is; it should pass a tanh.",
            "tanh of one half, sigmoid of the other.",
            _gate_of(lambda a, b: a * jax.nn.sigmoid(b)),
        ),
        Misconception(
            "no sigmoid",
            "The gate has no sigmoid: it should lie between 0 and 1.",
            "tanh of one half, sigmoid of the other.",
            _gate_of(lambda a, b: jnp.tanh(a) * b),
        ),
        Misconception(
            "tanh twice",
            "The gate is a tanh: it can turn a signal round, which a gate should not.",
            "A gate lies between 0 and 1.",
            _gate_of(lambda a, b: jnp.tanh(a) * jnp.tanh(b)),
        ),
        Misconception(
            "sigmoid twice",
            "The signal passes a sigmoid and can never be negative.",
            "tanh of one half, sigmoid of the other.",
            _gate_of(lambda a, b: jax.nn.sigmoid(a) * jax.nn.sigmoid(b)),
        ),
        Misconception(
            "added",
            "The two halves are added; a gate multiplies.",
            "A closed gate, 0, should let nothing through.",
            _gate_of(lambda a, b: jnp.tanh(a) + jax.nn.sigmoid(b)),
        ),
        Misconception(
            "every other channel",
            "You pair neighbouring channels; the two halves are the first C channels and the last C.",
            "jnp.split(features, 2, axis=-1).",
            lambda f: jnp.tanh(f[..., ::2]) * jax.nn.sigmoid(f[..., 1::2]),
        ),
        Misconception(
            "channels not halved",
            "The same features are used for both: as many channels come out as went in.",
            "Half of the channels are the signal, half the gate.",
            lambda f: jnp.tanh(f) * jax.nn.sigmoid(f),
        ),
        Misconception(
            "relu in place of tanh",
            "The signal passes a relu.",
            "tanh of one half, sigmoid of the other.",
            _gate_of(lambda a, b: jax.nn.relu(a) * jax.nn.sigmoid(b)),
        ),
    ),
    alternatives={
        "slices": lambda f: jnp.tanh(f[..., : f.shape[-1] // 2]) * jax.nn.sigmoid(f[..., f.shape[-1] // 2 :]),
        "sigmoid through tanh": _gate_of(lambda a, b: jnp.tanh(a) * (jnp.tanh(b / 2) + 1) / 2),
        "reshape": lambda f: (lambda g: jnp.tanh(g[..., 0, :]) * jax.nn.sigmoid(g[..., 1, :]))(
            f.reshape(*f.shape[:-1], 2, -1)
        ),
        "written out": _gate_of(lambda a, b: jnp.tanh(a) / (1 + jnp.exp(-b))),
        "jitted": jax.jit(ref.gate),
    },
    hints=(
        "jnp.split(features, 2, axis=-1) cuts the channels into two halves.",
        "jnp.tanh of the first, times jax.nn.sigmoid of the second.",
    ),
)

# -- complete ---------------------------------------------------------------------------------------------------------

_MANY = 3_000
_SHAPE = (_MANY, 2, 3)
_KNOWN = jnp.broadcast_to(jnp.array([[False, True, False], [False, False, True]]), _SHAPE)


def _plus_one(codes):
    """The first code is any of four; every other is the one before it, in raster order, plus one."""
    flat = codes.reshape(len(codes), -1)
    sure = 50.0 * jax.nn.one_hot((jnp.roll(flat, 1, axis=1) + 1) % 4, 4)
    return sure.at[:, 0].set(0.0).reshape(*codes.shape, 4)


def _uneven(codes):
    return jnp.broadcast_to(jnp.array([math.log(3.0), 0.0]), (*codes.shape, 2))


def _completed(answer):
    given = jnp.asarray(np.random.default_rng(3).integers(0, 4, _SHAPE), jnp.int32)
    done = answer(jax.random.key(0), _plus_one, given, _KNOWN)
    flat, start = done.reshape(_MANY, -1), given.reshape(_MANY, -1)
    return {
        "shape": jnp.array(done.shape),
        "known codes stay": jnp.all((done == given) | ~_KNOWN, axis=0),
        "code 2 follows from a known one": bool(jnp.all(flat[:, 2] == (start[:, 1] + 1) % 4)),
        "code 3 follows from code 2": bool(jnp.all(flat[:, 3] == (flat[:, 2] + 1) % 4)),
        "code 4 follows from code 3": bool(jnp.all(flat[:, 4] == (flat[:, 3] + 1) % 4)),
        "the first code is drawn": bool(jnp.all(jnp.abs(jnp.bincount(flat[:, 0], length=4) / _MANY - 0.25) < 0.04)),
    }


def _drawn(answer):
    given = jnp.ones(_SHAPE, jnp.int32)
    done = answer(jax.random.key(1), _uneven, given, _KNOWN).reshape(_MANY, -1)
    unknown = done[:, jnp.array([0, 2, 3, 4])]
    alike = jnp.mean(unknown[:, 1:] == unknown[:, :1], axis=0)
    return {
        "unknown codes have their shares": jnp.abs(jnp.mean(unknown, axis=0) - 0.25) < 0.04,
        "places are drawn apart from each other": jnp.abs(alike - 0.625) < 0.05,
        "all unknown is plain sampling": bool(
            jnp.abs(jnp.mean(answer(jax.random.key(2), _uneven, given, ~given.astype(bool))) - 0.25) < 0.04
        ),
        "all known stays": bool(jnp.all(answer(jax.random.key(2), _uneven, given, given.astype(bool)) == given)),
        "another key, another map": bool(
            jnp.any(answer(jax.random.key(4), _uneven, given, _KNOWN).reshape(_MANY, -1) != done)
        ),
    }


def completer(
    start=lambda codes, known: jnp.where(known, codes, 0),
    keep=lambda known, codes, drawn: jnp.where(known, codes, drawn),
    key_of=jax.random.fold_in,
    pick=jax.random.categorical,
    order=lambda n, height, width: (n // width, n % width),
):
    """Return an answer that differs from the right one in what is named."""

    def answer(key, logits_fn, codes, known):
        _, height, width = codes.shape

        def fill_in(n, codes):
            row, column = order(n, height, width)
            drawn = pick(key_of(key, n), logits_fn(codes)[:, row, column])
            return codes.at[:, row, column].set(keep(known[:, row, column], codes[:, row, column], drawn))

        return jax.lax.fori_loop(0, height * width, fill_in, start(codes, known))

    return answer


def _python_loop(key, logits_fn, codes, known):
    codes = jnp.asarray(codes)
    for row, column in np.ndindex(*codes.shape[1:]):
        key, draw = jax.random.split(key)
        new = jax.random.categorical(draw, logits_fn(codes)[:, row, column])
        codes = codes.at[:, row, column].set(jnp.where(known[:, row, column], codes[:, row, column], new))
    return codes


complete = Exercise(
    id="gated.complete",
    reference=sampling.complete,
    arguments=("key", "logits_fn", "codes", "known"),
    probes=(Probe("what is known", _completed), Probe("what is drawn", _drawn)),
    misconceptions=(
        Misconception(
            "known codes are drawn over",
            "Known codes do not stay: they are replaced by drawn ones.",
            "jnp.where(known, codes, drawn), at every place.",
            completer(keep=lambda known, codes, drawn: drawn),
        ),
        Misconception(
            "known codes put back at the end",
            "Known codes stay in the result, but those in between were drawn without knowing of them.",
            "Keep them at each place, before the next is drawn.",
            lambda key, f, codes, known: jnp.where(known, codes, sampling.sample(key, f, codes.shape)),
        ),
        Misconception(
            "known turned round",
            "What is known is drawn, and what is unknown is kept.",
            "True in known means: keep.",
            completer(
                start=lambda codes, known: codes,
                keep=lambda known, codes, drawn: jnp.where(known, drawn, codes),
            ),
        ),
        Misconception(
            "all at once",
            "The unknown codes are drawn in one go: they know of the known ones, but not of each other.",
            "After each code, ask the network again.",
            lambda key, f, codes, known: jnp.where(
                known, codes, jax.random.categorical(key, f(jnp.where(known, codes, 0)))
            ),
        ),
        Misconception(
            "the likeliest code",
            "The likeliest code is taken, not drawn: every completion is the same.",
            "jax.random.categorical draws.",
            completer(pick=lambda key, logits: jnp.argmax(logits, axis=-1)),
        ),
        Misconception(
            "one key for all places",
            "Every place is drawn with the same key, so the same luck decides all of them.",
            "A new key for each place.",
            completer(key_of=lambda key, n: key),
        ),
        Misconception(
            "column by column",
            "Places are filled down the columns; the network was trained along the rows.",
            "n // columns and n % columns give row and column in raster order.",
            completer(order=lambda n, h, w: (n % h, n // h)),
        ),
        Misconception(
            "nothing is drawn",
            "The codes come back as they were handed in.",
            "Where known is False, a code is to be drawn.",
            lambda key, f, codes, known: codes,
            also=(lambda key, f, codes, known: jnp.where(known, codes, 0),),
        ),
        Misconception(
            "always the same key",
            "The key handed in is not used: every call completes alike.",
            "All luck should come from the key.",
            completer(key_of=lambda key, n: jax.random.fold_in(jax.random.key(0), n)),
        ),
    ),
    alternatives={
        "from the codes as they came": completer(start=lambda codes, known: jnp.asarray(codes)),
        "python loop": _python_loop,
        "gumbel": completer(pick=lambda key, logits: jnp.argmax(logits + jax.random.gumbel(key, logits.shape), -1)),
        "keys split beforehand": completer(key_of=lambda key, n: jax.random.split(key, 6)[n]),
        "jitted": jax.jit(sampling.complete, static_argnums=1),
    },
    hints=(
        "This is your sampler with one line more. Which?",
        "After drawing, jnp.where(known[:, row, column], codes[:, row, column], drawn).",
    ),
)
