"""Lesson 06: what goes wrong in its exercises, what else is right, and what helps."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vqtutor.lessons.answers import reference
from vqtutor.lessons.entries import decorated, edit, exercise
from vqtutor.models import gated

# The published slip: the middle is taken at size // 2 along an axis that ends there, cut in half already.
_MIDDLE = """\
    for mask in (above, left):
        mask[:], (rows, columns) = 1, mask.shape
        mask.reshape(-1)[rows // 2 * columns + columns // 2 + (mask_type == "B") :] = 0
    return"""

stack_masks = exercise(
    "gated.stack_masks",
    can="It gives both stacks their masks, for any odd kernel.",
    kind="transcription", importance=3, difficulty=2, minutes=6,
    stuck="Draw both half kernels for size 3 and mark the place that is being drawn now.",
    wrong={
        "middle of a half kernel": (edit("    return", _MIDDLE),
            edit("    return", _MIDDLE.replace("(above, left)", "[above]")),
            edit("    return", _MIDDLE.replace("(above, left)", "[left]")),
            "You blank what comes after the middle of the kernel; but these kernels are cut in half, and the current "
            "row and place are at their end.",
            "Where in a kernel of k // 2 + 1 rows is the current one?"),
        "A and B swapped": (edit('== "B"', '== "A"'),
            "Your mask A keeps the current row and place, and your mask B removes them.",
            "A is for the first block, which looks at codes."),
        "nothing is blanked": (edit('mask_type == "B"', "1"),
            "Every weight is kept, also in mask A: the first block would see its own code.",
            "What must the first block not see?"),
        "always blanked": (edit('mask_type == "B"', "0"),
            "The current row and place are removed in mask B as well: later blocks lose what is in that very place.",
            "What is the difference between A and B?"),
        "vertical sees the left of its own row": (edit("    return", "    above[-1, :half] = 1\n    return"),
            "In mask A the vertical kernel keeps the left half of the current row. That is the job of the "
            "horizontal stack, and one block later it leaks the future.",
            "The vertical stack sees whole rows, and only those above."),
        "only the current place of the vertical row": (edit("above[-1]", "above[-1, half]"),
            "In mask A the vertical kernel leaves out only the current place, and sees the row to its right.",
            "The vertical stack sees whole rows, and only those above."),
        "only one of the two": (edit("left[:, -1] = ", ""), edit("above[-1] = ", ""),
            "One of the stacks ignores the mask type.",
            "In mask A both leave something out: a row, and a place."),
        "whole kernels": (
            edit("return above, left", "return np.pad(above, ((0, half), (0, 0))), np.pad(left, ((0, 0), (0, half)))"),
            "The masks are as large as whole kernels; a half kernel has k // 2 + 1 rows, or columns.",
            "What comes after the current row, or place, is never needed."),
        "the two swapped": (edit("return above, left", "return left, above"),
            "Vertical and horizontal are swapped.",
            "The vertical mask comes first: [k // 2 + 1, k]."),
        "turned round": (edit("above[-1] = left[:, -1]", "above[0] = left[:, 0]"),
            "The current row is taken to be the first, and the current place the leftmost.",
            "The kernel ends at the current row: everything before it is above."),
    },
    right={
        "concatenated": lambda k, kind: (
            jnp.concatenate([jnp.ones((k // 2, k)), jnp.full((1, k), float(kind == "B"))]),
            jnp.concatenate([jnp.ones((1, k // 2)), jnp.full((1, 1), float(kind == "B"))], axis=1),
        ),
        "bool": edit("return above, left", "return above > 0, left > 0"),
        "integers": edit("return above, left", "return above.astype(int), left.astype(int)"),
        "comparing rows": lambda k, kind: (
            (np.arange(k // 2 + 1) < k // 2 + (kind == "B"))[:, None] * np.ones(k),
            ((np.arange(k // 2 + 1) < k // 2 + (kind == "B")) * 1.0)[None],
        ),
    },
    hints=(
        "Draw a 3 x 3 kernel and cut off what is below its middle row. Where is the current row now?",
        "Start from ones. In mask A, set the last row of the vertical mask to 0, and the last column of the "
        "horizontal one.",
    ),
)  # fmt: skip

_SPLIT = "jnp.split(features, 2, axis=-1)"

gate = exercise(
    "gated.gate",
    can="It scales half of the channels by a gate that it computes from the other half.",
    kind="transcription", importance=2, difficulty=1, minutes=3,
    stuck="Split an array of 4 channels by hand, and say between which numbers each half of the product lies.",
    wrong={
        "halves swapped": (edit("signal, door", "door, signal"),
            "You take the tanh of the second half and the sigmoid of the first.",
            "The first half is the signal, and the second opens the gate."),
        "no tanh": (edit("jnp.tanh(signal)", "signal"),
            "The signal goes through as it is; it should go through a tanh.",
            "tanh of one half, sigmoid of the other."),
        "no sigmoid": (edit("jax.nn.sigmoid(door)", "door"),
            "The gate has no sigmoid: it should lie between 0 and 1.",
            "tanh of one half, sigmoid of the other."),
        "tanh twice": (edit("jax.nn.sigmoid", "jnp.tanh"),
            "The gate is a tanh: it can change the sign of a signal, which a gate should not do.",
            "A gate lies between 0 and 1."),
        "sigmoid twice": (edit("jnp.tanh", "jax.nn.sigmoid"),
            "The signal goes through a sigmoid and can never be negative.",
            "tanh of one half, sigmoid of the other."),
        "added": (edit(" * ", " + "),
            "The two halves are added; a gate multiplies.",
            "A closed gate, 0, should let nothing through."),
        "every other channel": (edit(_SPLIT, "features[..., ::2], features[..., 1::2]"),
            "You pair neighbouring channels; the two halves are the first C channels and the last C.",
            "jnp.split(features, 2, axis=-1)."),
        "channels not halved": (edit(_SPLIT, "features, features"),
            "The same features are used for both: as many channels come out as went in.",
            "Half of the channels are the signal, half the gate."),
        "relu in place of tanh": (edit("jnp.tanh", "jax.nn.relu"),
            "The signal goes through a relu.",
            "tanh of one half, sigmoid of the other."),
    },
    right={
        "slices": lambda f: jnp.tanh(f[..., : f.shape[-1] // 2]) * jax.nn.sigmoid(f[..., f.shape[-1] // 2 :]),
        "sigmoid through tanh": edit("jax.nn.sigmoid(door)", "(jnp.tanh(door / 2) + 1) / 2"),
        "reshape": edit(_SPLIT, "jnp.moveaxis(features.reshape(*features.shape[:-1], 2, -1), -2, 0)"),
        "written out": edit("* jax.nn.sigmoid(door)", "/ (1 + jnp.exp(-door))"),
        "jitted": decorated("jax.jit"),
    },
    hints=(
        "jnp.split(features, 2, axis=-1) cuts the channels into two halves.",
        "jnp.tanh of the first, times jax.nn.sigmoid of the second.",
    ),
)  # fmt: skip


class _WholeKernels(hk.Module):
    """Kernels k x k and 1 x k, masked behind the current row and place; gates by slices."""

    def __init__(self, channels, kernel_size, mask_type, residual):
        super().__init__()
        half = kernel_size // 2
        above, left = reference("gated.stack_masks")(kernel_size, mask_type)
        self.masks = {"above": np.pad(above, ((0, half), (0, 0))), "left": np.pad(left, ((0, 0), (0, half)))}
        self.channels, self.residual = channels, residual

    def _conv(self, name, x):
        mask = self.masks[name][..., None, None] * jnp.ones((x.shape[-1], 2 * self.channels))
        return hk.Conv2D(2 * self.channels, mask.shape[:2], mask=mask, name=name)(x)

    def __call__(self, vertical, horizontal, condition=None):
        c = self.channels
        above, left = self._conv("above", vertical), self._conv("left", horizontal)
        left = left + hk.Conv2D(2 * c, 1)(above)
        if condition is not None:
            both = hk.Linear(4 * c, with_bias=False)(condition)[:, None, None]
            above, left = above + both[..., : 2 * c], left + both[..., 2 * c :]
        out = hk.Conv2D(c, 1)(jnp.tanh(left[..., :c]) * jax.nn.sigmoid(left[..., c:]))
        return jnp.tanh(above[..., :c]) * jax.nn.sigmoid(above[..., c:]), out + horizontal * self.residual


_MASKS = "stack_masks(self.kernel_size, self.mask_type)"
_CAUSAL = "causal_mask((self.kernel_size, self.kernel_size), self.mask_type)[: self.kernel_size // 2 + 1]"
_LINEAR = " + hk.Linear(2 * self.channels)"
_JOINED, _TOLD = f"{_LINEAR}(above)", f"{_LINEAR}(condition)[:, None, None]"
_RESIDUAL = "out + horizontal if self.residual else out"

gated_block = exercise(
    "gated.GatedBlock",
    can="It sees everything before a place, with no blind spot, and takes a label into account.",
    kind="decision", importance=3, difficulty=3, minutes=20,
    stuck="Build the vertical stack alone and look at its receptive field; then add one arrow at a time.",
    wrong={
        "horizontal feeds vertical": (
            edit("        if condition", f"        above = above{_LINEAR}(left)\n        if condition"),
            "The vertical output depends on the horizontal input: what is to the left of a place then leaks into "
            "whole rows.",
            "Features may only go from vertical to horizontal."),
        "stacks not joined": (edit(_JOINED, ""),
            "The horizontal output does not depend on the vertical stack: the rows above are lost.",
            "The vertical features pass through a 1x1 layer into the horizontal ones, before the gate."),
        "joined behind the gate": (edit(_JOINED, "", "(gate(left))", "(gate(left)) + hk.Linear(self.channels)(above)"),
            "The vertical features are added after the gate, so nothing holds them between -1 and 1.",
            "Add them to the horizontal features first, and gate the sum."),
        "always residual": (edit(_RESIDUAL, "out + horizontal"),
            "You add the horizontal input even if residual is False: in a first block that lets the code itself "
            "through.",
            "What does residual say?"),
        "never residual": (edit(_RESIDUAL, "out"),
            "You do not add the horizontal input when residual is True.",
            "What does residual say?"),
        "residual on both stacks": (edit("gate(above)", "gate(above) + self.residual * vertical"),
            "The vertical stack has a residual connection as well; only the horizontal one should have one.",
            "Look at which stack the header names."),
        "residual on the wrong stack": (edit("gate(above)", "gate(above) + self.residual * vertical", _RESIDUAL, "out"),
            "The residual connection is on the vertical stack.",
            "Look at which stack the header names."),
        "no gate": (edit("gate(left)", "left[..., : self.channels]", "gate(above)", "above[..., : self.channels]"),
            "Nothing holds the outputs between -1 and 1: there is no gate.",
            "Use your gate on both stacks."),
        "relu in place of the gate": (edit("gate(left)", "jax.nn.relu(left[..., : self.channels])",
                "gate(above)", "jax.nn.relu(above[..., : self.channels])"),
            "The outputs go through a relu: they are never negative, and can be larger than 1.",
            "Use your gate on both stacks."),
        "always mask B": (edit("self.mask_type)", '"B")'),
            "In a block of type A, the current row and place are seen as well.",
            "Pass mask_type on to stack_masks."),
        "always mask A": (edit("self.mask_type)", '"A")'),
            "In a block of type B, the current row and place are lost.",
            "Pass mask_type on to stack_masks."),
        "vertical sees its own row": (edit(_MASKS, f"({_CAUSAL}, {_MASKS}[1])"),
            "The vertical stack sees the left of its own row, as in a plain PixelCNN; it should see whole rows above.",
            "Use your stack_masks."),
        "window centred on half kernels": (edit("half_convolution", "vqtutor.convolve"),
            "You centre the half kernel on its place as if it were whole, so it sees what is below, or to the right.",
            "Its last row, or column, belongs on the current place: pad above, or on the left, and crop."),
        "condition ignored": (edit("if condition is not None", "if False"),
            "The condition has no effect.",
            "A linear layer of it is added to the features of both stacks, before their gates."),
        "condition for one stack only": (edit(f"left{_TOLD}", "left"), edit(f"above{_TOLD}", "above"),
            "Only one of the stacks gets the condition.",
            "It is added in both, before their gates."),
        "outputs swapped": (edit(f"gate(above), {_RESIDUAL}", f"{_RESIDUAL}, gate(above)"),
            "Vertical and horizontal are in the other order.",
            "Return (vertical, horizontal), in the order of the arguments."),
    },
    right={
        "whole kernels, masked": _WholeKernels,
        "joined behind the condition": edit(_JOINED, "", "gate(left)", f"gate(left{_JOINED})"),
        "gate by slices": edit(
            "gate(", "(lambda f: jnp.tanh(f[..., : self.channels]) * jax.nn.sigmoid(f[..., self.channels :]))(", times=2
        ),
        "taps in place of masks": gated.GatedBlock,
    },
    hints=(
        "Two half convolutions first, each to 2 * channels: the vertical input above, the horizontal one to the left.",
        "Then hk.Linear of the vertical features is added to the horizontal ones, and the condition to both.",
        "Then the gates; after the horizontal one hk.Linear(channels), and the residual connection if there is one.",
    ),
    seconds=40.0,
)  # fmt: skip


def _python_loop(key, logits_fn, indices, known):
    for row, column in np.ndindex(*indices.shape[1:]):
        key, draw = jax.random.split(key)
        new = jax.random.categorical(draw, logits_fn(indices)[:, row, column])
        indices = indices.at[:, row, column].set(jnp.where(known[:, row, column], indices[:, row, column], new))
    return indices


complete = exercise(
    "gated.complete",
    can="It completes a map of which only a part is known.",
    kind="decision", importance=2, difficulty=2, minutes=8,
    stuck="Put your sampler next to it: in which line does a known code have to win?",
    wrong={
        "known codes are drawn over": (edit("set(value)", "set(drawn)"),
            "Known codes do not stay: they are replaced by drawn ones.",
            "jnp.where(known, indices, drawn), at every place."),
        "known codes put back at the end": (
            edit("set(value)", "set(drawn)", "return jax", "return jnp.where(known, indices, jax",
                "int32))", "int32)))"),
            "Known codes stay in the result, but the codes between them were drawn without using them.",
            "Keep them at each place, before the next is drawn."),
        "known turned round": (edit("jnp.where(known", "jnp.where(~known"),
            "You draw what is known, and keep what is unknown.",
            "True in known means: keep."),
        "all at once": (
            lambda key, f, indices, known: jnp.where(known, indices, jax.random.categorical(key, f(indices * known))),
            "The unknown codes are drawn in one go: they depend on the known ones, but not on each other.",
            "Call the network again after each code."),
        "the likeliest code": (edit("jax.random.categorical(", "(lambda key, logits: jnp.argmax(logits, axis=-1))("),
            "The likeliest code is taken, not drawn: every completion is the same.",
            "jax.random.categorical draws."),
        "one key for all places": (edit("jax.random.fold_in(key, n)", "key"),
            "Every place is drawn with the same key, so the same random numbers decide all of them.",
            "A new key for each place."),
        "column by column": (edit("n // columns, n % columns", "n % indices.shape[1], n // indices.shape[1]"),
            "Places are filled down the columns; the network was trained along the rows.",
            "n // columns and n % columns give row and column in raster order."),
        "nothing is drawn": (lambda key, f, indices, known: indices, lambda key, f, indices, known: indices * known,
            "The codes come back unchanged.",
            "Where known is False, draw a code."),
        "always the same key": (edit("fold_in(key", "fold_in(jax.random.key(0)"),
            "You do not use the key that is passed in: every call completes the map in the same way.",
            "All randomness should come from the key."),
    },
    right={
        "zeros where nothing is known": edit("jnp.asarray(indices, jnp.int32)", "jnp.where(known, indices, 0)"),
        "python loop": _python_loop,
        "gumbel": edit(
            "jax.random.categorical(",
            "(lambda key, logits: jnp.argmax(logits + jax.random.gumbel(key, logits.shape), axis=-1))(",
        ),
        "keys split beforehand": edit("jax.random.fold_in(key, n)", "jax.random.split(key, indices[0].size)[n]"),
        "jitted": jax.jit(reference("gated.complete"), static_argnums=1),
    },
    hints=(
        "This is your sampler with one line more. Which?",
        "After drawing, jnp.where(known[:, row, column], indices[:, row, column], drawn).",
    ),
    seconds=30.0,
)  # fmt: skip


def _costs(logits_fn, indices, num_classes):
    """Nats of every place, [B, C, H, W]."""
    labels = [jnp.full(len(indices), label) for label in range(num_classes)]
    nats = [optax.softmax_cross_entropy_with_integer_labels(logits_fn(indices, label), indices) for label in labels]
    return jnp.stack(nats, axis=1)


def _from_costs(change):
    return lambda logits_fn, indices, num_classes: change(_costs(logits_fn, indices, num_classes))


def _in_one_batch(logits_fn, indices, num_classes):
    maps = jnp.tile(indices, (num_classes, 1, 1))
    labels = jnp.repeat(jnp.arange(num_classes), len(indices))
    one_hot = jax.nn.one_hot(maps, logits_fn(indices[:1], labels[:1]).shape[-1])
    log_p = jnp.sum(jax.nn.log_softmax(logits_fn(maps, labels)) * one_hot, axis=(1, 2, 3))
    return jax.nn.softmax(log_p.reshape(num_classes, -1).T)


def _raw_logits(logits_fn, indices, num_classes):
    chosen = [
        jnp.take_along_axis(logits_fn(indices, jnp.full(len(indices), label)), indices[..., None], -1).sum((1, 2, 3))
        for label in range(num_classes)
    ]
    return jax.nn.softmax(jnp.stack(chosen, axis=1), axis=1)


def _relative(nats):
    """Against the best label, so that the largest exponential is 1."""
    weights = jnp.exp(nats.min(axis=1, keepdims=True) - nats)
    return weights / weights.sum(axis=1, keepdims=True)


which_class = exercise(
    "gated.which_class",
    can="It reads a code map with a model that was made for drawing: a classifier by Bayes' rule.",
    kind="puzzle", importance=2, difficulty=3, minutes=20,
    stuck="Take two labels and one place: write Bayes' rule with numbers, then ask what a second place changes.",
    wrong={
        "nats averaged": (_from_costs(lambda nats: jax.nn.softmax(-nats.mean(axis=(2, 3)))),
            "You average over the places, so the labels come out almost equally probable. Each place is evidence.",
            "Probabilities of places multiply: what do their nats do?"),
        "the dearest label wins": (_from_costs(lambda nats: jax.nn.softmax(nats.sum(axis=(2, 3)))),
            "The label under which a map costs most comes out as the most probable.",
            "A map that a label explains well costs few nats."),
        "not divided by the sum": (_from_costs(lambda nats: jnp.exp(-nats.sum(axis=(2, 3)))),
            "You return the probability of the map under each label; return that of the label given the map.",
            "What should the labels' probabilities add up to?"),
        "too small for a float": (
            _from_costs(lambda nats: (p := jnp.exp(-2 * nats.sum(axis=(2, 3)))) / p.sum(axis=1, keepdims=True)),
            _from_costs(lambda nats: (p := jnp.exp(-nats).prod(axis=(2, 3))) / p.sum(axis=1, keepdims=True)),
            "Forty-nine probabilities multiplied are smaller than a float can be, and 0 / 0 is not a number.",
            "Work with logarithms until all labels can be compared."),
        "a verdict, not probabilities": (
            _from_costs(lambda nats: jax.nn.one_hot(jnp.argmin(nats.sum(axis=(2, 3)), axis=1), nats.shape[1])),
            "You give everything to the best label, so it no longer shows how sure the model is.",
            "What does the second best label get?"),
        "over the batch": (_from_costs(lambda nats: jax.nn.softmax(-nats.sum(axis=(2, 3)), axis=0)),
            "The shares add up to 1 over the maps of the batch, and not over the labels.",
            "Which axis are the labels on?"),
        "one row only": (_from_costs(lambda nats: jax.nn.softmax(-nats[:, :, 0].sum(axis=2))),
            _from_costs(lambda nats: jax.nn.softmax(-nats[..., 0].sum(axis=2))),
            "Only one row, or one column, of the map is evidence in your sum.",
            "Sum over all places of a map."),
        "the last place only": (_from_costs(lambda nats: jax.nn.softmax(-nats[:, :, -1, -1])),
            "Only the last place counts. It has seen the others, but what they cost is evidence as well.",
            "Sum over all places of a map."),
        "logits taken for logarithms": (_raw_logits,
            "You add logits. They are logarithms of probabilities only after something is subtracted at each place.",
            "What turns logits into log-probabilities?"),
        "base two": (_from_costs(lambda nats: jax.nn.softmax(-nats.sum(axis=(2, 3)) / jnp.log(2.0))),
            "You put bits where the exponential wants nats.",
            "softmax goes with natural logarithms."),
    },
    right={
        "cross-entropies": _from_costs(lambda nats: jax.nn.softmax(-nats.sum(axis=(2, 3)))),
        "in one batch": _in_one_batch,
        "relative to the best": _from_costs(lambda nats: _relative(nats.sum(axis=(2, 3)))),
        "with logsumexp": _from_costs(
            lambda nats: jnp.exp(
                -nats.sum(axis=(2, 3)) - jax.scipy.special.logsumexp(-nats.sum(axis=(2, 3)), axis=1, keepdims=True)
            )
        ),
    },
    hints=(
        "What does a map cost, in nats, under each label? With equally frequent labels, nothing else counts.",
        "Bayes: p(label | map) is p(map | label) over the sum of these. It is a softmax of minus nats.",
    ),
)  # fmt: skip


def _chances(logits):
    return np.asarray(jax.nn.softmax(logits), float)


def _as_a_product(with_label, without_label, strength):
    return np.log(_chances(without_label)) * (1 - strength) + np.log(_chances(with_label)) * strength


def _of_log_probabilities(with_label, without_label, strength):
    c, u = jax.nn.log_softmax(with_label), jax.nn.log_softmax(without_label)
    return u + strength * (c - u)


guide = exercise(
    "gated.guide",
    can="It makes a label count for more than it did in training: guidance without a classifier.",
    kind="puzzle", importance=1, difficulty=2, minutes=8,
    stuck="Put 0 and 1 in for the strength and see which logits have to come out; then draw the line through both.",
    wrong={
        "the two exchanged": (lambda c, u, s: c + s * (u - c),
            "With and without are swapped: at strength 0 your label is in full force.",
            "What should come out at strength 0?"),
        "probabilities mixed": (lambda c, u, s: np.log(np.maximum((1 - s) * _chances(u) + s * _chances(c), 1e-9)),
            "You mix probabilities. Beyond strength 1 some of them would be negative.",
            "What can be carried on in a direction for ever, and still be made into probabilities?"),
        "counted from the label on": (lambda c, u, s: c + s * (c - u),
            "Your strength begins one too early: at 0 the label is in full force already.",
            "What should come out at strength 0?"),
        "only the difference": (lambda c, u, s: s * (c - u),
            "Only the difference is left. At strength 0 all codes would be equally probable.",
            "What is the difference added to?"),
        "the label added": (lambda c, u, s: u + s * c,
            "You add the label's logits to the others, and do not go in the direction from one to the other.",
            "What should come out at strength 1?"),
        "colder, not guided": (lambda c, u, s: s * c, lambda c, u, s: (1 + s) * c,
            "You only scale the label's logits: that is a temperature.",
            "What do the logits without a label have to do with it?"),
        "half way": (lambda c, u, s: (c + u) / 2,
            "You take the middle, whatever the strength.",
            "Where does the strength come in?"),
        "the strength ignored": (lambda c, u, s: c, lambda c, u, s: u,
            "You return one of the two, whatever the strength.",
            "Where does the strength come in?"),
        "not beyond": (lambda c, u, s: u + min(max(s, 0), 1) * (c - u),
            "You stop at strength 1; beyond it is where guidance begins.",
            "May a strength be 2.5?"),
    },
    right={
        "a weighted sum": lambda c, u, s: (1 - s) * u + s * c,
        "from the label on": lambda c, u, s: c + (s - 1) * (c - u),
        "powers of probabilities": _as_a_product,
        "log-probabilities": _of_log_probabilities,
    },
    hints=(
        "Logits may be any numbers, so one can walk along the line from one set to the other, and go on.",
        "Begin at the logits without a label, and go `strength` times the way to those with it.",
    ),
)  # fmt: skip
