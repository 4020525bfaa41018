"""Lesson 02: what goes wrong in its exercises, what else is right, and what helps."""

import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.lax import stop_gradient as sg

from vqtutor.lessons.entries import decorated, edit, exercise

reconstruction_loss = exercise(
    "losses.reconstruction_loss",
    can="It measures how well images come back, on a scale where 1 is no better than the mean.",
    kind="transcription", importance=3, difficulty=1, minutes=3,
    stuck="Compute it by hand for x = [0, 2] and x_hat = [1, 1] with variance 4.",
    wrong={
        "sum in place of mean": (
            edit("jnp.mean", "jnp.sum"), edit("jnp.mean", "jnp.sum", "/ variance", "/ len(x) / variance"),
            "You add all squared errors up: twice as many images would then cost twice as much.",
            "Which does not depend on the number of pixels, a sum or a mean?"),
        "variance forgotten": (edit(" / variance", ""),
            "This is the mean squared error in pixel units; how large it is depends on how the data were scaled.",
            "What would the average image cost, and what should it cost?"),
        "divided by the standard deviation": (edit("/ variance", "/ jnp.sqrt(variance)"),
            "You divide a squared error by the standard deviation: their units differ.",
            "The variance is already a square, and so is the error."),
        "divided by the variance twice": (edit("/ variance", "/ variance**2"),
            lambda x, x_hat, v: jnp.mean(((x - x_hat) / v) ** 2),
            "You divide by the square of the variance.",
            "The variance is already a square."),
        "multiplied by the variance": (edit("/ variance", "* variance"),
            "You multiply and should divide: with your loss, data that vary more would count more.",
            "An error as large as the variance should cost 1."),
        "absolute error": (edit("(x - x_hat) ** 2", "jnp.abs(x - x_hat)"),
            "You average absolute differences; the variance is measured in squares.",
            "Which power of the difference goes with a variance?"),
        "root taken": (edit("** 2)", "** 2) ** 0.5"), lambda x, x_hat, v: jnp.sqrt(jnp.mean((x - x_hat) ** 2) / v),
            "You take a root: this is a distance, not a squared error.",
            "Squared error over variance needs no root."),
        "this batch's variance": (edit("/ variance", "/ jnp.var(x)"),
            "You divide by the variance of the images at hand, which changes from batch to batch.",
            "The variance of the training data is passed in; use it."),
        "one value an image": (edit("** 2)", "** 2, axis=tuple(range(1, x.ndim)))"),
            "You return one number for each image; a loss is one number.",
            "Average over all axes, the batch as well."),
        "signed difference": (edit("(x - x_hat) ** 2", "x - x_hat"), edit("(x - x_hat) ** 2", "x_hat - x"),
            edit("(x - x_hat) ** 2)", "x - x_hat) ** 2"),
            "Positive and negative differences cancel: a reconstruction can be far off and cost nothing.",
            "Square before you average."),
        "reconstruction held still": (edit("- x_hat", "- jax.lax.stop_gradient(x_hat)"),
            "The value is right, but no gradient reaches x_hat, so neither decoder nor encoder would learn.",
            "Nothing in this loss needs stop_gradient."),
        "halved": (edit("jnp.mean", "0.5 * jnp.mean"),
            "You return half of it. Halves are common in textbooks, but the published figures have none.",
            "Is there one factor too many?"),
    },
    right={
        "optax": lambda x, x_hat, variance: 2 * jnp.mean(optax.l2_loss(x_hat, x)) / variance,
        "dot product": lambda x, x_hat, variance: jnp.vdot(x - x_hat, x - x_hat) / (x.size * variance),
        "scaled first": lambda x, x_hat, variance: jnp.mean(jnp.square((x - x_hat) / jnp.sqrt(variance))),
        "sum over size": edit("jnp.mean", "jnp.sum", "/ variance", "/ x.size / variance"),
        "jitted": decorated("jax.jit"),
        "vmap over images":
            edit("jnp.mean((x - x_hat) ** 2)", "jax.vmap(lambda a, b: jnp.mean((a - b) ** 2))(x, x_hat).mean()"),
    },
    hints=(
        "Square the difference, average over everything, and measure that in units of the variance.",
        "`jnp.mean` without an axis averages over everything.",
    ),
)  # fmt: skip

# The two losses have one value, so the same goes wrong with it.
_VALUE_OFF = {
    "sum in place of mean": (edit("jnp.mean", "jnp.sum"),
        "You add all squares up; the published losses are means over vectors and dimensions.",
        "How should the loss change if the batch is twice as large?"),
    "summed over dimensions": (edit("jnp.mean(", "jnp.mean(jnp.sum(", "** 2)", "** 2, axis=-1))"),
        "You sum over the D dimensions: the loss would grow with D, and beta would mean something else for each D.",
        "Average over all axes at once."),
    "root taken": (edit("** 2)", "** 2) ** 0.5"), edit("jnp.mean", "jnp.sum", "** 2)", "** 2) ** 0.5"),
        "You take a root: this is a distance, not its square.",
        "The squared distance needs no root."),
    "absolute difference": (edit("jnp.mean(", "jnp.mean(jnp.abs(", " ** 2)", "))"),
        "You average absolute differences; both losses are squared.",
        "Which power of the difference is meant?"),
    "one value a vector": (edit("** 2)", "** 2, axis=-1)"),
        "You return one number for each vector; a loss is one number.",
        "Average over all axes."),
    "beta included": (edit("jnp.mean", "0.25 * jnp.mean"),
        "You return a quarter of it: beta belongs to the sum of both losses, which comes later.",
        "Leave the weight out here."),
    "sign turned": (edit("jnp.mean", "-jnp.mean"),
        "The loss is negative: going downhill would drive vectors and codes apart.",
        "A squared distance is never below zero."),
}  # fmt: skip

codebook_loss = exercise(
    "losses.codebook_loss",
    can="It pulls the chosen codes towards the vectors, and leaves the encoder alone.",
    kind="transcription", importance=3, difficulty=1, minutes=4,
    stuck="Which of the two must not move? Where is it in your line?",
    wrong={
        "the other loss": (edit("jax.lax.stop_gradient(z_e) - codes", "z_e - jax.lax.stop_gradient(codes)"),
            "The value is right, but its gradient reaches the encoder and not the codes: this is the commitment loss.",
            "Look again at which of the two arguments you hold still."),
        "neither held still": (edit("jax.lax.stop_gradient(z_e)", "z_e"),
            "The value is right, but both sides are moved: the two losses can no longer be weighted separately.",
            "Only the codes should get a gradient from this loss."),
        "both held still": (edit("- codes", "- jax.lax.stop_gradient(codes)"),
            lambda z_e, codes: sg(jnp.mean((z_e - codes) ** 2)),
            "The value is right, but nothing can learn from it: every gradient is zero.",
            "The codes must stay outside stop_gradient."),
        **_VALUE_OFF,
    },
    right={
        "difference turned round": lambda z_e, codes: jnp.mean(jnp.square(codes - sg(z_e))),
        "optax": lambda z_e, codes: 2 * jnp.mean(optax.l2_loss(codes, sg(z_e))),
        "sum over size": lambda z_e, codes: jnp.sum((sg(z_e) - codes) ** 2) / codes.size,
        "jitted": decorated("jax.jit"),
        "mean of means": lambda z_e, codes: jnp.mean(jnp.mean((codes - sg(z_e)) ** 2, axis=-1)),
    },
    hints=(
        "This loss should move the codes. So what has to be held constant?",
        "`jax.lax.stop_gradient(z_e)` has the values of z_e and passes no gradient on.",
    ),
)  # fmt: skip

commitment_loss = exercise(
    "losses.commitment_loss",
    can="It keeps the encoder's output near its codes, and leaves the codes alone.",
    kind="transcription", importance=3, difficulty=1, minutes=3,
    stuck="Put your codebook_loss next to it: what has to be swapped?",
    wrong={
        "the other loss": (edit("z_e - jax.lax.stop_gradient(codes)", "jax.lax.stop_gradient(z_e) - codes"),
            "The value is right, but its gradient reaches the codes and not the encoder: this is the codebook loss.",
            "Look again at which of the two arguments you hold still."),
        "neither held still": (edit("jax.lax.stop_gradient(codes)", "codes"),
            "The value is right, but both sides are moved: the two losses can no longer be weighted separately.",
            "Only the encoder should get a gradient from this loss."),
        "both held still": (edit("(z_e -", "(jax.lax.stop_gradient(z_e) -"),
            lambda z_e, codes: sg(jnp.mean((z_e - codes) ** 2)),
            "The value is right, but nothing can learn from it: every gradient is zero.",
            "The encoder must stay outside stop_gradient."),
        **_VALUE_OFF,
    },
    right={
        "difference turned round": lambda z_e, codes: jnp.mean(jnp.square(sg(codes) - z_e)),
        "optax": lambda z_e, codes: 2 * jnp.mean(optax.l2_loss(z_e, sg(codes))),
        "sum over size": lambda z_e, codes: jnp.sum((z_e - sg(codes)) ** 2) / codes.size,
        "jitted": decorated("jax.jit"),
        "the other loss, swapped": lambda z_e, codes: codebook_loss.reference(codes, z_e),
    },
    hints=(
        "This loss should move the encoder's output. So what has to be held constant?",
        "It is the codebook loss with the two roles swapped.",
    ),
)  # fmt: skip

vq_loss = exercise(
    "losses.vq_loss",
    can="It trains codes and encoder at the same time, each with its own weight.",
    kind="transcription", importance=3, difficulty=1, minutes=4,
    stuck="Ask which of the two pulls beta weakens, and try beta = 0.",
    wrong={
        "beta on the codebook loss": (edit("return ", "return beta * ", "+ beta * ", "+ "),
            "The sum is right, but beta weighs the pull on the codes; it should weigh the pull on the encoder.",
            "Which of the two losses asks the encoder to commit itself?"),
        "neither held still": (lambda z_e, codes, beta: (1 + beta) * jnp.mean((z_e - codes) ** 2),
            "The value is right, but each side is pulled with both weights, 1 + beta.",
            "Use your two losses: each holds the right side constant."),
        "beta on both": (edit("return ", "return beta * "),
            "beta weighs both losses, so the codes would learn beta times as fast as published.",
            "Only one of the two losses is multiplied by beta."),
        "beta forgotten": (edit("beta * ", ""),
            "Both losses weigh the same: beta does nothing.",
            "One of the two losses is multiplied by beta."),
        "beta fixed": (edit("beta * ", "0.25 * "),
            "You use 0.25 whatever beta is.",
            "beta is passed in; use it."),
        "weights that sum to one": (edit("return ", "return (1 - beta) * "),
            "You mix the losses with weights 1 - beta and beta; the codebook loss should have weight 1.",
            "What happens to the codes when beta is 1?"),
        "codebook loss only": (edit(" + beta * commitment_loss(z_e, codes)", ""),
            edit("+ beta * commitment_loss(z_e, codes)", "* beta"),
            "The commitment loss is missing: nothing keeps the encoder near its codes.",
            "There are two terms."),
        "commitment loss only": (edit("codebook_loss(z_e, codes) + ", ""),
            edit("codebook_loss(z_e, codes) + beta * ", ""),
            "The codebook loss is missing: nothing moves the codes.",
            "There are two terms."),
        "one loss twice": (edit("commitment_loss", "codebook_loss"), edit("codebook_loss", "commitment_loss"),
            "One of the two losses is there twice and the other is missing; their values are equal, so it is hard to "
            "see.",
            "Look at which loss you call in each term."),
        "subtracted": (edit(" + ", " - "),
            "You subtract the commitment loss: going downhill would drive the encoder away from its codes.",
            "Both terms are costs."),
        "everything held still": (lambda z_e, codes, beta: sg(vq_loss.reference(z_e, codes, beta)),
            "The value is right, but nothing can learn from it: every gradient is zero.",
            "Each term holds one side constant, not both."),
    },
    right={
        "terms exchanged": lambda z_e, codes, beta: (
            beta * commitment_loss.reference(z_e, codes) + codebook_loss.reference(z_e, codes)
        ),
        "written out": lambda z_e, codes, beta: jnp.mean((sg(z_e) - codes) ** 2 + beta * (z_e - sg(codes)) ** 2),
        "jitted": decorated("jax.jit"),
        "one loss, swapped": edit("commitment_loss(z_e, codes)", "codebook_loss(codes, z_e)"),
    },
    hints=(
        "It is the sum of your two losses, with beta in front of one of them.",
        "beta says how strongly the encoder commits to its codes (van den Oord et al., 2017, equation 3).",
    ),
)  # fmt: skip

_LOSS, _THROUGH = "vq_loss(z_e, codes, beta)", "straight_through(z_e, codes)"

# Found with a gradient: the published slip takes both losses after the straight-through line, and every value is right.
repair_quantizer = exercise(
    "losses.repair_quantizer",
    can="It quantizes, and every gradient goes where it should.",
    kind="debugging", importance=3, difficulty=3, minutes=10,
    stuck="Ask jax.grad for the gradient of each term alone, to each input, and make a table of the four.",
    wrong={
        "losses after straight-through": (edit(_THROUGH, "codes", "    loss =", f"    codes = {_THROUGH}\n    loss ="),
            edit(_LOSS, f"vq_loss(z_e, {_THROUGH}, beta)"),
            edit(_LOSS, f"codebook_loss(z_e, {_THROUGH}) + beta * commitment_loss(z_e, codes)"),
            "Every value is right and the codebook's gradient is zero: for the losses, z_q is z_e plus a constant.",
            "Which lines still need the codes as you looked them up?"),
        "straight-through lost": (edit(_THROUGH, "codes"),
            "The losses are fixed, but z_q is now the code itself: the encoder gets no gradient from the decoder.",
            "Keep both: the codes for the losses, straight-through for what is returned."),
        "z_q held still": (edit(_THROUGH, "jax.lax.stop_gradient(codes)"),
            "The losses are fixed, but no gradient passes through z_q at all.",
            "The gradient at z_q should go to z_e."),
        "gradient to both sides": (edit(_THROUGH, "codes + z_e - jax.lax.stop_gradient(z_e)"),
            "The losses are fixed, but the decoder's gradient now also reaches the codebook.",
            "Hold the whole correction in the straight-through line constant."),
        "beta on the codebook loss": (edit(_LOSS, "beta * codebook_loss(z_e, codes) + commitment_loss(z_e, codes)"),
            "Both sides are pulled, but their weights are swapped: beta belongs to the pull on the encoder.",
            "Which of the two terms holds the codes constant?"),
        "neither held still": (edit(_LOSS, "(1 + beta) * jnp.mean((z_e - codes) ** 2)"),
            "Both sides are pulled with both weights: the stop_gradients are gone.",
            "Each term holds one side constant."),
        "beta forgotten": (edit(_LOSS, "codebook_loss(z_e, codes) + commitment_loss(z_e, codes)"),
            "Both losses weigh the same now.",
            "The pull on the encoder is multiplied by beta."),
        "codebook loss only": (edit(_LOSS, "codebook_loss(z_e, codes)"),
            "The commitment loss is gone: nothing keeps the encoder near its codes.",
            "The layer had two terms, and both are needed."),
        "commitment loss only": (edit(_LOSS, "beta * commitment_loss(z_e, codes)"),
            "The codebook loss is gone: nothing moves the codes.",
            "The layer had two terms, and both are needed."),
        "loss held still": (edit(_LOSS, f"jax.lax.stop_gradient({_LOSS})"),
            "The values are right, but nothing can learn from this loss.",
            "Each term holds one side constant, not both."),
    },
    right={
        "only the codebook term moved up":
            edit(_LOSS, f"codebook_loss(z_e, codes) + beta * commitment_loss(z_e, {_THROUGH})"),
        "one-hot product":
            edit("look_up(", "jax.nn.one_hot(", "codebook), codebook)", "codebook), len(codebook)) @ codebook",
                _THROUGH, "jax.lax.stop_gradient(codes) + z_e - jax.lax.stop_gradient(z_e)"),
        "jitted": decorated("jax.jit"),
        "written out": edit(
            _LOSS,
            "jnp.mean((jax.lax.stop_gradient(z_e) - codes) ** 2 + beta * (z_e - jax.lax.stop_gradient(codes)) ** 2)",
        ),
    },
    hints=(
        "Differentiate the loss with respect to the codebook. What do you see, and which line causes it?",
        "After z_q = z_e + stop_gradient(...), does z_q still depend on the codebook, as far as a gradient is "
        "concerned?",
        "Give the looked-up codes a name of their own, and use that name in the losses.",
    ),
)  # fmt: skip

_NATS = "jax.nn.softplus(logits) - x * logits"


def _with_p(p):
    """Return the change that first makes a probability, and takes logarithms of it."""
    return edit(f"nats = {_NATS}", f"p = {p}\n    nats = -(x * jnp.log(p) + (1 - x) * jnp.log(1 - p))")


bernoulli_nll = exercise(
    "losses.bernoulli_nll",
    can="It gives the nats of an image under its pixels' logits, even if the logits are huge.",
    kind="proof", importance=2, difficulty=2, minutes=8,
    stuck="Write -log s(l) and -log(1 - s(l)) with exponentials, and simplify before you write any code.",
    wrong={
        "overflows for large logits": (_with_p("jax.nn.sigmoid(logits)"), _with_p("1 / (1 + jnp.exp(-logits))"),
            "The formula is right, but the logarithm of a probability that rounds to 0 or 1 is not finite.",
            "Work with the logits: `jax.nn.softplus` and `jax.nn.log_sigmoid` never form the probability."),
        "clipped probabilities": (
            *(_with_p(f"jnp.clip(jax.nn.sigmoid(logits), {e}, 1 - {e})") for e in (1e-6, 1e-7, 1e-5, 1e-4, 1e-3)),
            "You clip the probability before its logarithm: large errors stop growing at some point, and have no "
            "gradient from there on.",
            "Work with the logits: `jax.nn.softplus` and `jax.nn.log_sigmoid` need no clipping."),
        "mean over pixels": (edit("jnp.sum", "jnp.mean"),
            "You average over pixels: an image's likelihood is a product over its pixels, so its logarithm is a sum.",
            "Sum over an image, average over the batch."),
        "sum over the batch": (edit("jnp.mean", "jnp.sum"),
            "You add up the images of the batch; twice as many would cost twice as much.",
            "Sum over an image, average over the batch."),
        "likelihood, not its negative": (edit("jnp.mean", "-jnp.mean"),
            "This is the log-likelihood: going downhill would make the data less likely.",
            "A negative log-likelihood of pixels is never below zero."),
        "ink only": (edit(_NATS, "-x * jax.nn.log_sigmoid(logits)"),
            "Only the ink is scored: a decoder that paints everything white would be perfect.",
            "What does the model say about pixels that are black?"),
        "background only": (edit(_NATS, "(1 - x) * jax.nn.softplus(logits)"),
            "Only the background is scored: a decoder that paints everything black would be perfect.",
            "What does the model say about pixels that are white?"),
        "logit's sign turned": (edit("- x *", "- (1 - x) *"), edit("- x *", "+ x *"),
            "You treat a large logit as black; it means that the pixel is likely to be 1.",
            "s(l) is the probability of ink."),
        "squashed twice": (edit("    nats =", "    logits = jax.nn.sigmoid(logits)\n    nats ="),
            "The logits go through a sigmoid before a formula that expects logits.",
            "One sigmoid is enough, and it is inside the formula."),
        "logits taken as probabilities": (_with_p("logits"), _with_p("jnp.clip(logits, 1e-6, 1 - 1e-6)"),
            "You take logarithms of logits, as if they were probabilities.",
            "A logit can be any number; a sigmoid makes a probability of it."),
        "bits": (edit("axis=1))", "axis=1)) / jnp.log(2.0)"),
            "You return bits; it should be nats.",
            "Natural logarithms give nats."),
        "squared error": (edit(_NATS, "(x - jax.nn.sigmoid(logits)) ** 2"),
            "This is a squared error of probabilities: the likelihood of a Gaussian, not of a coin toss.",
            "The probability of a pixel x under Bernoulli(p) is p^x (1 - p)^(1 - x)."),
        "one value an image": (edit("jnp.mean", ""),
            "You return one number for each image; average them over the batch.",
            "A loss is one number."),
    },
    right={
        "optax": lambda x, logits: jnp.sum(optax.sigmoid_binary_cross_entropy(logits, x)) / len(x),
        "log_sigmoid": edit(_NATS, "-x * jax.nn.log_sigmoid(logits) - (1 - x) * jax.nn.log_sigmoid(-logits)"),
        "logaddexp": edit("jax.nn.softplus(logits)", "jnp.logaddexp(0.0, logits)"),
        "by hand": edit("jax.nn.softplus(logits)", "jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))"),
        "vmap over images": lambda x, logits: jnp.mean(
            jax.vmap(lambda a, b: jnp.sum(optax.sigmoid_binary_cross_entropy(b, a)))(x, logits)
        ),
    },
    hints=(
        "For one pixel: -log p^x (1 - p)^(1 - x), with p the sigmoid of the logit.",
        "-log p is softplus(-l) and -log(1 - p) is softplus(l): neither forms p, so neither overflows.",
        "Sum over all axes but the first, then average.",
    ),
)  # fmt: skip

uniform_prior_nats = exercise(
    "losses.uniform_prior_nats",
    can="It says what a code map costs in nats when nothing is known about its codes.",
    kind="proof", importance=2, difficulty=1, minutes=3,
    stuck="How many maps are there with 2 places and 3 codes, and how probable is each?",
    wrong={
        "bits": (lambda n, k: n * math.log2(k),
            "You return bits; it should be nats.",
            "Natural logarithms give nats."),
        "digits": (lambda n, k: n * math.log10(k),
            "You return decimal digits; it should be nats.",
            "Natural logarithms give nats."),
        "one latent only": (lambda n, k: math.log(k),
            "This is the cost of one code; an image has several.",
            "Independent choices multiply, so their logarithms add."),
        "codes and latents exchanged": (lambda n, k: k * math.log(n),
            "You count N^K maps; there are K choices at each of N places.",
            "With one latent of 64 codes, how many different maps are there?"),
        "product in the logarithm": (
            lambda n, k: math.log(n * k), lambda n, k: math.log(n + k), lambda n, k: math.log(n) + math.log(k),
            "You take the logarithm of N times K; the number of maps is K to the power of N.",
            "Each further latent multiplies the number of maps by K."),
        "sign turned": (lambda n, k: -n * math.log(k),
            "This is the log-probability; what the prior costs is its negative.",
            "A cost in nats is never below zero."),
        "no logarithm": (
            lambda n, k: float(n * k), lambda n, k: float(k) ** n, lambda n, k: n / k, lambda n, k: float(k) ** -n,
            "You count without taking a logarithm.",
            "Nats are natural logarithms of counts or probabilities."),
        "entropy of one code in place of a sum": (lambda n, k: math.log(k) / n,
            "You average, but the costs of independent latents add up.",
            "Two latents cost twice as much as one."),
    },
    right={
        "numpy": lambda n, k: n * np.log(k),
        "jax.numpy": lambda n, k: n * jnp.log(k),
        "logarithm of the count": lambda n, k: math.log(k**n),
        "from the probability": lambda n, k: -sum(math.log(1 / k) for _ in range(n)),
        "from bits": lambda n, k: n * math.log2(k) * math.log(2),
    },
    hints=(
        "How many different code maps are there, and what is the probability of each?",
        "The logarithm of K^N is N log K.",
    ),
)  # fmt: skip

_SURPRISE = "jnp.where(share > 0, -jnp.log(jnp.where(share > 0, share, 1.0)), 0.0)"
_RESULT = "jnp.exp(jnp.sum(share * surprise))"


def _mean_over(maps, num_codes):
    return jnp.mean(jnp.stack([perplexity.reference(one, num_codes) for one in maps]))


perplexity = exercise(
    "losses.perplexity",
    can="It says how many codes are really in use.",
    kind="transcription", importance=3, difficulty=2, minutes=7,
    stuck="Work it out by hand for the indices [0, 0, 1, 1] and three codes.",
    wrong={
        "0 log 0": (edit(_SURPRISE, "-jnp.log(share)"),
            "A code that is never used makes 0 times the logarithm of 0, which is NaN; its limit is 0.",
            "Keep the logarithm away from 0, or leave unused codes out of the sum."),
        "log2 with exp": (edit("jnp.log", "jnp.log2"),
            "The entropy is in bits and the exponential in nats: they have to match.",
            "log goes with exp, log2 with 2 to the power of."),
        "log with a power of 2": (edit("jnp.exp", "2 ** "),
            "The entropy is in nats and the power is of 2: they have to match.",
            "log goes with exp, log2 with 2 to the power of."),
        "entropy itself": (edit("jnp.exp", ""), edit("jnp.exp", "", "jnp.log", "jnp.log2"),
            "This is the entropy, in nats or bits; perplexity is its exponential.",
            "How many codes, used equally often, would have this entropy?"),
        "mean over the maps": (
            lambda i, k: _mean_over(i if i.ndim > 2 else [i], k), lambda i, k: _mean_over(jnp.atleast_2d(i), k),
            "You average the perplexities of the maps: all maps should be counted together, since they may use "
            "different codes.",
            "Count over all indices at once."),
        "codes counted, not weighed": (edit(_RESULT, "jnp.sum(share > 0) * 1.0"),
            "You count the codes in use; one that is used once should weigh less than one used all the time.",
            "Perplexity looks at how often each code is used."),
        "counts in place of shares": (edit(" / indices.size", ""),
            "You use counts; they should be shares that sum to 1.",
            "Divide by how many indices there are."),
        "divided by the number of codes": (edit("/ indices.size", "/ num_codes"),
            "You divide the counts by K; shares are counts divided by how many indices there are.",
            "Shares have to sum to 1."),
        "sign turned": (edit("-jnp.log", "jnp.log"),
            "You return one over the perplexity: the minus before the sum is missing.",
            "An entropy is never below zero, so perplexity is never below 1."),
        "share of the codebook": (edit(_RESULT, f"{_RESULT} / num_codes"),
            "You divide by K at the end: perplexity counts codes, from 1 to K.",
            "With all codes used equally often it is K."),
        "averaged, not weighed": (edit("jnp.sum(share * surprise)", "jnp.mean(surprise)"),
            edit("jnp.sum(share", "jnp.mean(share"),
            "You average over the K codes; each should be weighted by its share and nothing else.",
            "An entropy is a mean over what happens: each surprise counts as often as its code occurs."),
        "smoothed too much": (*(edit(_SURPRISE, f"-jnp.log(share + {e})") for e in (1e-2, 1e-3, 0.1, 1.0)),
            "What you add inside the logarithm is large enough to be seen in the result.",
            "1e-10 keeps the logarithm finite and changes nothing."),
    },
    right={
        "numpy": lambda i, k: np.exp(
            -sum(p * np.log(p) for p in np.bincount(np.asarray(i).ravel(), minlength=k) / np.size(i) if p > 0)
        ),
        "one-hot mean with 1e-10":
            edit("jnp.bincount(", "jax.nn.one_hot(", "length=num_codes)", "num_codes).sum(axis=0)",
                _SURPRISE, "-jnp.log(share + 1e-10)"),
        "bits": edit("jnp.log", "jnp.log2", "jnp.exp", "2.0 ** "),
        "product of powers": edit(_RESULT, "jnp.prod(share**-share)"),
        "jax.scipy": edit(_RESULT, "jnp.exp(jnp.sum(jax.scipy.special.entr(share)))"),
        "jitted": lambda i, k: jax.jit(perplexity.reference, static_argnums=1)(i, k),
    },
    hints=(
        "First the share of each code among all indices: K numbers that sum to 1.",
        "Then exp(-sum p log p). What does a share of 0 do here, and what should it do?",
        "`jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0)` leaves unused codes out; so does adding 1e-10.",
    ),
)  # fmt: skip


def _entropy(shares):
    """In bits, of shares [..., K]."""
    return -np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=-1)


def _shares(indices, num_codes, axis=None):
    """Of each code, overall or with one axis of [B, H * W] averaged away."""
    one_hot = np.eye(num_codes)[np.reshape(indices, (len(indices), -1))]
    return one_hot.mean(axis=(0, 1) if axis is None else axis)


def _perplexities(indices, num_codes):
    return 2 ** _entropy(_shares(indices, num_codes, 0))


def _information(indices, num_codes):
    """The mutual information of code and place, from their joint shares."""
    joint = _shares(indices, num_codes, 0)
    joint = joint / joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    return float(np.sum(joint * np.log2(np.where(joint > 0, joint / np.where(apart > 0, apart, 1), 1))))


def _by_counting(indices, num_codes):
    codes = [int(code) for code in np.ravel(indices)]
    places = [place for _ in range(len(indices)) for place in range(np.size(indices[0]))]
    bits = lambda things: sum(  # noqa: E731
        n / len(things) * math.log2(len(things) / n) for n in Counter(things).values()
    )
    return bits(codes) + bits(places) - bits(list(zip(codes, places, strict=True)))


def _in_jax(indices, num_codes):
    one_hot = jax.nn.one_hot(jnp.reshape(indices, (len(indices), -1)), num_codes)
    nats = lambda p: -jnp.sum(jax.scipy.special.xlogy(p, p), axis=-1)  # noqa: E731
    return (nats(one_hot.mean(axis=(0, 1))) - nats(one_hot.mean(axis=0)).mean()) / jnp.log(2)


worth_of_place = exercise(
    "losses.worth_of_place",
    can="It says what the simplest of all better priors would save: the information between code and place.",
    kind="puzzle", importance=2, difficulty=3, minutes=20,
    stuck="Take maps with two places: what does a code cost if you know the shares at its place, and if you do not?",
    wrong={
        "nats": (edit("np.log2", "np.log"),
            "The number is right in nats; it should be in bits.",
            "Bits are logarithms to base 2."),
        "bits a map": (edit("return bits[0] - bits[1:].mean()", "return (bits[0] - bits[1:].mean()) * len(bits[1:])"),
            "This is what a whole map saves.",
            "How many codes does a map have?"),
        "the cost, not the saving": (edit("bits[0] - bits[1:].mean()", "bits[1:].mean()"),
            "You return what a code costs where its place is known, not what is saved by knowing it.",
            "What would it cost otherwise?"),
        "place not used": (edit("bits[0] - bits[1:].mean()", "bits[0]"),
            "You return what a code costs where nothing is known.",
            "What is it worth to know the place?"),
        "saved against a uniform prior": (edit("bits[0] - bits", "np.log2(num_codes) - bits"),
            lambda i, k: np.log2(k) - _entropy(_shares(i, k)),
            "You compare with a uniform prior. One that knows the shares of all codes, and no place, is cheaper.",
            "What of the saving is owed to the place alone?"),
        "images in place of places": (lambda i, k: _entropy(_shares(i, k)) - _entropy(_shares(i, k, 1)).mean(),
            "You worked out what it is worth to know the image that a code belongs to.",
            "Which axis do you average over?"),
        "turned round": (edit("bits[0] - bits[1:].mean()", "bits[1:].mean() - bits[0]"),
            "The saving comes out negative.",
            "Which of the two costs more?"),
        "perplexities compared": (lambda i, k: 2 ** _entropy(_shares(i, k)) - _perplexities(i, k).mean(),
            "You subtract numbers of codes, and not bits.",
            "A perplexity is not a price: take its logarithm."),
        "perplexities averaged": (lambda i, k: _entropy(_shares(i, k)) - np.log2(np.mean(_perplexities(i, k))),
            "You average perplexities over the places, and then take the logarithm.",
            "Prices add up, so they may be averaged. May perplexities?"),
        "rows only": (lambda i, k: _entropy(_shares(i, k)) - _entropy(np.eye(k)[i].mean(axis=(0, 2))).mean(),
            lambda i, k: _entropy(_shares(i, k)) - _entropy(np.eye(k)[i].mean(axis=(0, 1))).mean(),
            "Only the row, or only the column, of a place is known to your prior.",
            "A place is a row and a column."),
    },
    right={
        "mutual information": _information,
        "by counting": _by_counting,
        "in JAX": _in_jax,
        "a bincount for each place": lambda i, k: float(
            _entropy(np.bincount(np.ravel(i), minlength=k) / np.size(i))
            - np.mean([_entropy(np.bincount(c, minlength=k) / len(i)) for c in np.reshape(i, (len(i), -1)).T])
        ),
    },
    hints=(
        "What does a code cost, on average, under a prior that knows the shares of all codes, and nothing else?",
        "And under one that knows them for each place? Each is an entropy: subtract the mean of the second.",
    ),
)  # fmt: skip
