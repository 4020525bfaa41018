"""Lesson 06: one block of both stacks. Answers may arrange their weights as they like, so what is probed is who sees
whom, what passes when all weights are zero, and where things saturate."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from vqtutor.checking import Exercise, Misconception, Probe, Question
from vqtutor.exercises import gated as gated_exercises
from vqtutor.models import gated
from vqtutor.models.convolutions import convolve
from vqtutor.models.gated import gate, stack_masks

CHANNELS, SIZE = 4, (4, 5)
_rng = np.random.default_rng(9)
PLACES = SIZE[0] * SIZE[1]
# As many images as places, for all probes alike: what compiles once serves them all.
V, H = (jnp.asarray(_rng.normal(size=(PLACES, *SIZE, CHANNELS)), jnp.float32) for _ in range(2))
CONDITION = jnp.asarray(_rng.normal(size=(PLACES, 3)), jnp.float32)


def half_convolution(x, w):
    """Convolve with a half kernel, [k // 2 + 1, k] or [1, k // 2 + 1]: its last row, or column, lies on the place."""
    down = w.shape[0] // 2
    right = w.shape[1] // 2 if w.shape[0] == 1 else 0
    padded = jnp.pad(x, ((0, 0), (down, 0), (right, 0), (0, 0)))
    return convolve(padded, w)[:, : x.shape[1], : x.shape[2]]


class GatedBlock(hk.Module):
    """(vertical, horizontal), each [B, H, W, C], -> the same with `channels`; condition is [B, E], or None."""

    def __init__(self, channels, kernel_size, mask_type, residual):
        super().__init__()
        self.channels = channels
        self.masks = stack_masks(kernel_size, mask_type)
        self.residual = residual

    def half(self, name, mask, x):
        shape = (*mask.shape, x.shape[-1], 2 * self.channels)
        w = hk.get_parameter(name, shape, init=hk.initializers.VarianceScaling(1.0, "fan_avg"))
        return half_convolution(x, w * mask[..., None, None])

    def __call__(self, vertical, horizontal, condition=None):
        above = self.half("above", self.masks[0], vertical)
        left = self.half("left", self.masks[1], horizontal) + hk.Linear(2 * self.channels)(above)
        if condition is not None:
            above = above + hk.Linear(2 * self.channels)(condition)[:, None, None]
            left = left + hk.Linear(2 * self.channels)(condition)[:, None, None]
        out = hk.Linear(self.channels)(gate(left))
        return gate(above), out + horizontal if self.residual else out


def _block(answer, mask_type, residual=False, kernel_size=3, with_condition=False):
    """Return (apply, parameters, and the same parameters all zero) of one block."""

    def forward(vertical, horizontal, condition):
        return answer(CHANNELS, kernel_size, mask_type, residual)(
            vertical, horizontal, *([condition] if with_condition else [])
        )

    block = hk.without_apply_rng(hk.transform(forward))
    params = block.init(jax.random.key(0), V, H, CONDITION)
    return block.apply, params, jax.tree.map(jnp.zeros_like, params)


def _sight(answer):
    """Who sees whom: bool [places of the output, places of the input], for both outputs and both inputs.

    Each image of the batch has one place of its input nudged, which costs one pass where a Jacobian costs many.
    """
    seen = {}
    nudge = jnp.eye(PLACES).reshape(PLACES, *SIZE, 1) * jnp.asarray([1.0, -0.7, 0.5, 1.3])
    for mask_type, kernel_size in (("A", 5), ("B", 3)):
        apply, params, _ = _block(answer, mask_type, kernel_size=kernel_size)
        vertical, horizontal = (jnp.tile(x[:1], (PLACES, 1, 1, 1)) for x in (V, H))
        before = apply(params, vertical, horizontal, None)
        for name, out in zip(("vertical", "horizontal"), before, strict=True):
            seen[f"{mask_type}: shape of {name} output"] = jnp.array(out.shape)
        for of, after in (
            ("vertical", apply(params, vertical + nudge, horizontal, None)),
            ("horizontal", apply(params, vertical, horizontal + nudge, None)),
        ):
            for out, a, b in zip(("vertical", "horizontal"), before, after, strict=True):
                felt = jnp.any(jnp.abs(a - b) > 1e-6, axis=-1).reshape(PLACES, -1).T
                seen[f"{mask_type}: {out} output sees {of} input"] = felt
    return seen


def _links(answer):
    """With all weights at zero the gates are closed, and only residual links let something through."""
    seen = {}
    for residual in (True, False):
        apply, _, zero = _block(answer, "B", residual)
        vertical, horizontal = apply(zero, V, H, CONDITION)
        word = "with" if residual else "without"
        seen[f"horizontal output {word} residual, weights at zero"] = horizontal
        seen[f"vertical output {word} residual, weights at zero"] = vertical
    return seen


def _gates(answer):
    """What passes a gate stays between -1 and 1, however large the input."""
    apply, params, _ = _block(answer, "B")
    (vertical, near), (_, far) = (apply(params, scale * V, scale * H, CONDITION) for scale in (1e4, 2e4))
    (small, _), (_, small_h) = (apply(params, scale * V, scale * H, CONDITION) for scale in (0.5, 1.0))
    return {
        "vertical output lies between -1 and 1": bool(jnp.all(jnp.abs(vertical) <= 1.0)),
        "vertical output can be negative": bool(jnp.any(small < 0)),
        "a gate can close": bool(jnp.min(jnp.abs(vertical)) < 1e-3) and bool(jnp.max(jnp.abs(vertical)) > 0.9),
        "horizontal output saturates": bool(jnp.mean(jnp.abs(near - far) < 1e-2) > 0.9),
        "horizontal output is alive": bool(jnp.any(small_h != 0)),
    }


def _conditions(answer):
    apply, params, _ = _block(answer, "B", with_condition=True)
    one, other = apply(params, V, H, CONDITION), apply(params, V, H, CONDITION[::-1])
    return {
        f"{name} output listens to the condition": jnp.any(a != b, axis=(1, 2, 3))
        for name, a, b in zip(("vertical", "horizontal"), one, other, strict=True)
    }


def block_like(**options):
    """Return a block that differs from the right one in what is named: the misconceptions are variations of it."""
    masks, half = options.get("masks", stack_masks), options.get("half", half_convolution)
    kind, pass_gate = options.get("kind", lambda t: t), options.get("gate", gate)
    feeds, back = options.get("feeds", True), options.get("back", False)
    links = options.get("links", lambda residual: (False, residual))
    told, swap = options.get("told", (True, True)), options.get("swap", False)
    after_gate = options.get("after_gate", False)

    class GatedBlock(hk.Module):
        def __init__(self, channels, kernel_size, mask_type, residual):
            super().__init__()
            self.channels, self.links = channels, links(residual)
            self.masks = masks(kernel_size, kind(mask_type))

        def _half(self, name, mask, x):
            w = hk.get_parameter(
                name,
                (*mask.shape, x.shape[-1], 2 * self.channels),
                init=hk.initializers.VarianceScaling(1.0, "fan_avg"),
            )
            return half(x, w * mask[..., None, None])

        def __call__(self, vertical, horizontal, condition=None):
            above = self._half("above", self.masks[0], vertical)
            left = self._half("left", self.masks[1], horizontal)
            if feeds and not after_gate:
                left = left + hk.Linear(2 * self.channels)(above)
            if back:
                above = above + hk.Linear(2 * self.channels)(left)
            if condition is not None and told[0]:
                above = above + hk.Linear(2 * self.channels)(condition)[:, None, None]
            if condition is not None and told[1]:
                left = left + hk.Linear(2 * self.channels)(condition)[:, None, None]
            out = hk.Linear(self.channels)(pass_gate(left))
            if after_gate:
                out = out + hk.Linear(self.channels)(above)
            pair = (
                pass_gate(above) + vertical if self.links[0] else pass_gate(above),
                out + horizontal if self.links[1] else out,
            )
            return pair[::-1] if swap else pair

    return GatedBlock


def _causal_masks(kernel_size, mask_type):
    """Both stacks masked as in a plain PixelCNN: the vertical one sees the left of its own row."""
    vertical, horizontal = (mask.copy() for mask in stack_masks(kernel_size, mask_type))
    vertical[-1] = np.arange(kernel_size) < kernel_size // 2 + (mask_type == "B")
    return vertical, horizontal


class _WholeKernels(hk.Module):
    """Kernels k x k and 1 x k, masked behind the current row and place; gates by slices."""

    def __init__(self, channels, kernel_size, mask_type, residual):
        super().__init__()
        k, half = kernel_size, kernel_size // 2
        self.channels, self.residual = channels, residual
        above, left = stack_masks(k, mask_type)
        self.above = jnp.pad(jnp.asarray(above), ((0, half), (0, 0)))
        self.left = jnp.pad(jnp.asarray(left), ((0, 0), (0, half)))

    def _conv(self, name, mask, x):
        mask = jnp.broadcast_to(mask[..., None, None], (*mask.shape, x.shape[-1], 2 * self.channels))
        return hk.Conv2D(2 * self.channels, mask.shape[:2], mask=mask, name=name)(x)

    def __call__(self, vertical, horizontal, condition=None):
        c = self.channels
        above, left = self._conv("above", self.above, vertical), self._conv("left", self.left, horizontal)
        left = left + hk.Conv2D(2 * c, 1)(above)
        if condition is not None:
            both = hk.Linear(4 * c, with_bias=False)(condition)[:, None, None]
            above, left = above + both[..., : 2 * c], left + both[..., 2 * c :]
        out = hk.Conv2D(c, 1)(jnp.tanh(left[..., :c]) * jax.nn.sigmoid(left[..., c:]))
        return jnp.tanh(above[..., :c]) * jax.nn.sigmoid(above[..., c:]), out + horizontal * self.residual


gated_block = Exercise(
    id="gated.GatedBlock",
    reference=GatedBlock,
    arguments=("channels", "kernel_size", "mask_type", "residual"),
    base=hk.Module,
    seconds=40.0,
    probes=(
        Probe("who sees whom", _sight, points=3),
        Probe("residual links", _links),
        Probe("gates", _gates),
        Probe("condition", _conditions),
    ),
    misconceptions=(
        Misconception(
            "horizontal feeds vertical",
            "The vertical output sees the horizontal input: what is left of a place then leaks into whole rows.",
            "The road is one way: from vertical to horizontal.",
            block_like(back=True),
        ),
        Misconception(
            "stacks not joined",
            "The horizontal output sees nothing of the vertical stack: the rows above are lost.",
            "The vertical features pass through a 1x1 layer into the horizontal ones, before the gate.",
            block_like(feeds=False),
        ),
        Misconception(
            "joined behind the gate",
            "The vertical features are added after the gate, so nothing holds them between -1 and 1.",
            "Add them to the horizontal features first, and gate the sum.",
            block_like(after_gate=True),
        ),
        Misconception(
            "always residual",
            "The horizontal input is added also where residual is False: in a first block that hands the code through.",
            "What does residual say?",
            block_like(links=lambda residual: (False, True)),
        ),
        Misconception(
            "never residual",
            "The horizontal input is not added where residual is True.",
            "What does residual say?",
            block_like(links=lambda residual: (False, False)),
        ),
        Misconception(
            "residual on both stacks",
            "The vertical stack has a residual link as well; only the horizontal one has.",
            "Look at which stack the header names.",
            block_like(links=lambda residual: (residual, residual)),
        ),
        Misconception(
            "residual on the wrong stack",
            "The residual link is on the vertical stack.",
            "Look at which stack the header names.",
            block_like(links=lambda residual: (residual, False)),
        ),
        Misconception(
            "no gate",
            "Nothing holds the outputs between -1 and 1: there is no gate.",
            "Use your gate on both stacks.",
            block_like(gate=lambda f: jnp.split(f, 2, axis=-1)[0]),
        ),
        Misconception(
            "relu in place of the gate",
            "The outputs pass a relu: they are never negative, and never full.",
            "Use your gate on both stacks.",
            block_like(gate=lambda f: jax.nn.relu(jnp.split(f, 2, axis=-1)[0])),
        ),
        Misconception(
            "always mask B",
            "In a block of type A, the current row and place are seen as well.",
            "Hand mask_type on to stack_masks.",
            block_like(kind=lambda t: "B"),
        ),
        Misconception(
            "always mask A",
            "In a block of type B, the current row and place are lost.",
            "Hand mask_type on to stack_masks.",
            block_like(kind=lambda t: "A"),
        ),
        Misconception(
            "vertical sees its own row",
            "The vertical stack sees the left of its own row, as in a plain PixelCNN; it should see whole rows above.",
            "Use your stack_masks.",
            block_like(masks=_causal_masks),
        ),
        Misconception(
            "window centred on half kernels",
            "A half kernel is laid around its place as if it were whole, so it sees what lies below, or to the right.",
            "Its last row, or column, lies on the current place: pad above, or on the left, and crop.",
            block_like(half=convolve),
        ),
        Misconception(
            "condition ignored",
            "The condition changes nothing.",
            "A linear layer of it is added to the features of both stacks, before their gates.",
            block_like(told=(False, False)),
        ),
        Misconception(
            "condition for one stack only",
            "Only one of the stacks is told the condition.",
            "It is added in both, before their gates.",
            block_like(told=(True, False)),
            also=(block_like(told=(False, True)),),
        ),
        Misconception(
            "outputs swapped",
            "Vertical and horizontal come back in the other order.",
            "(vertical, horizontal), as they came in.",
            block_like(swap=True),
        ),
    ),
    alternatives={
        "whole kernels, masked": _WholeKernels,
        "another order of layers": block_like(),
        "gate by slices": block_like(gate=lambda f: jnp.tanh(f[..., :CHANNELS]) * jax.nn.sigmoid(f[..., CHANNELS:])),
        "taps in place of masks": gated.GatedBlock,
    },
    hints=(
        "Two half convolutions first, each to 2 * channels: the vertical input above, the horizontal one to the left.",
        "Then hk.Linear of the vertical features is added to the horizontal ones, and the condition to both.",
        "Then the gates; behind the horizontal one hk.Linear(channels), and the residual link if there is one.",
    ),
)

EXERCISES = (gated_exercises.stack_masks, gated_exercises.gate, gated_block, gated_exercises.complete)

QUESTIONS = (
    Question(
        id="gated.q_suspects",
        asks="Who has it right?",
        choices={
            "a": (
                "Dan",
                "His question marks sit next to the cross: with the middle of a half kernel taken for the current row "
                "and place, the nearest neighbours are blanked. The loss still falls, only not as far.",
            ),
            "b": (
                "Eva",
                "Nothing from her place on is seen, and all that comes before it is: no question mark, no leak.",
            ),
            "c": (
                "Finn",
                "He sees his own place: the residual link of the first block hands the code through that is to be "
                "predicted. His loss falls to nearly 0, and what he draws is noise.",
            ),
            "d": (
                "Gus, before he mended anything",
                "He sees nothing that he must not, but only since his two slips cancel: blanked one place too far, "
                "read one place too late. He mends one, as he should, and his own place leaks. A probe of each piece "
                "finds both; a probe of the whole finds no leak.",
            ),
        },
        best="b",
    ),
    Question(
        id="gated.q_one_way",
        asks="Why must the horizontal stack not feed the vertical one?",
        choices={
            "a": (
                "It would double the number of parameters.",
                "A 1 x 1 layer is small; that is not the matter.",
            ),
            "b": (
                "What the vertical stack knows of a row reaches all places of that row, also those that come first.",
                "A block of type B sees its own row of vertical features, to the right as well. If those had heard of "
                "codes in the row, a place would hear of codes to its right.",
            ),
            "c": (
                "It may; both see only the past.",
                "Each sees only the past of its own place. A neighbour to the right has more past, and would tell it.",
            ),
        },
        best="b",
    ),
    Question(
        id="gated.q_condition",
        asks="The label is added at every gate, as one vector for the whole map. What can it not say?",
        choices={
            "a": (
                "Where in the map something should be.",
                "The same push arrives at every place. A wish that depends on the place needs a map for a condition.",
            ),
            "b": (
                "Which of ten digits is meant.",
                "That is just what it says.",
            ),
            "c": (
                "How likely each code is.",
                "Through the gates it changes every logit.",
            ),
        },
        best="a",
    ),
)
