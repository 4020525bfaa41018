"""Lesson 02: who pulls whom, what a pixel costs, and how many codes are in use."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.lax import stop_gradient as sg

from vqtutor.checking import Exercise, Misconception, Probe, Question
from vqtutor.exercises.quantizer import CODEBOOK, MAP, pull_back
from vqtutor.models import losses as ref
from vqtutor.models import quantizer

_rng = np.random.default_rng(3)


def _uniform(*shape):
    return jnp.asarray(_rng.uniform(0.1, 0.9, shape).astype(np.float32))


CODES = quantizer.look_up(jax.jit(quantizer.nearest_code)(MAP, CODEBOOK), CODEBOOK)


def _pulls(answer, *inputs, names):
    """Return the gradient of a scalar answer to each of its inputs."""
    gradients = jax.grad(lambda *inputs: jnp.asarray(answer(*inputs)).sum(), argnums=tuple(range(len(inputs))))(*inputs)
    return {f"gradient to {name}": gradient for name, gradient in zip(names, gradients, strict=True)}


# -- reconstruction_loss ----------------------------------------------------------------------------------------------

X, X_HAT = _uniform(2, 5, 4, 1), _uniform(2, 5, 4, 1)
VARIANCE = 0.3

reconstruction_loss = Exercise(
    id="losses.reconstruction_loss",
    reference=ref.reconstruction_loss,
    arguments=("x", "x_hat", "variance"),
    probes=(
        Probe(
            "values",
            lambda answer: {
                "variance 0.3": answer(X, X_HAT, VARIANCE),
                "variance 2": answer(X[0], X_HAT[1], 2.0),
            },
        ),
        Probe(
            "gradient to x_hat",
            lambda answer: {
                "gradient to x_hat": jax.grad(lambda x_hat: jnp.asarray(answer(X, x_hat, VARIANCE)).sum())(X_HAT)
            },
        ),
    ),
    misconceptions=(
        Misconception(
            "sum in place of mean",
            "You add all squared errors up: twice as many images would then cost twice as much.",
            "Which of sum and mean does not care how many pixels there are?",
            lambda x, x_hat, variance: jnp.sum((x - x_hat) ** 2) / variance,
            also=(
                lambda x, x_hat, variance: jnp.mean(jnp.sum((x - x_hat) ** 2, axis=tuple(range(1, x.ndim)))) / variance,
            ),
        ),
        Misconception(
            "variance forgotten",
            "This is the mean squared error in pixel units; how large it is depends on how the data were scaled.",
            "What would the average image cost, and what should it cost?",
            lambda x, x_hat, variance: jnp.mean((x - x_hat) ** 2),
        ),
        Misconception(
            "divided by the standard deviation",
            "You divide a squared error by the standard deviation: their units differ.",
            "The variance is a square already, and so is the error.",
            lambda x, x_hat, variance: jnp.mean((x - x_hat) ** 2) / jnp.sqrt(variance),
        ),
        Misconception(
            "divided by the variance twice",
            "You divide by the square of the variance.",
            "The variance is a square already.",
            lambda x, x_hat, variance: jnp.mean((x - x_hat) ** 2) / variance**2,
            also=(lambda x, x_hat, variance: jnp.mean(((x - x_hat) / variance) ** 2),),
        ),
        Misconception(
            "multiplied by the variance",
            "You multiply where you should divide: data that vary more would then weigh more.",
            "An error as large as the variance should cost 1.",
            lambda x, x_hat, variance: jnp.mean((x - x_hat) ** 2) * variance,
        ),
        Misconception(
            "absolute error",
            "You average absolute differences; the variance is measured in squares.",
            "Which power of the difference goes with a variance?",
            lambda x, x_hat, variance: jnp.mean(jnp.abs(x - x_hat)) / variance,
        ),
        Misconception(
            "root taken",
            "You take a root: this is a distance, not a squared error.",
            "Squared error over variance needs no root.",
            lambda x, x_hat, variance: jnp.sqrt(jnp.mean((x - x_hat) ** 2)) / variance,
            also=(lambda x, x_hat, variance: jnp.sqrt(jnp.mean((x - x_hat) ** 2) / variance),),
        ),
        Misconception(
            "this batch's variance",
            "You divide by the variance of the images at hand, which changes from batch to batch.",
            "The variance of the training data is handed in; use it.",
            lambda x, x_hat, variance: jnp.mean((x - x_hat) ** 2) / jnp.var(x),
        ),
        Misconception(
            "one value an image",
            "You return one number for each image; a loss is one number.",
            "Average over all axes, the batch as well.",
            lambda x, x_hat, variance: jnp.mean((x - x_hat) ** 2, axis=tuple(range(1, x.ndim))) / variance,
        ),
        Misconception(
            "signed difference",
            "Positive and negative differences cancel: a reconstruction can be far off and cost nothing.",
            "Square before you average.",
            lambda x, x_hat, variance: jnp.mean(x - x_hat) / variance,
            also=(
                lambda x, x_hat, variance: jnp.mean(x_hat - x) / variance,
                lambda x, x_hat, variance: jnp.mean(x - x_hat) ** 2 / variance,
            ),
        ),
        Misconception(
            "reconstruction held still",
            "The value is right, but no gradient reaches x_hat, so neither decoder nor encoder would learn.",
            "Nothing in this loss needs stop_gradient.",
            lambda x, x_hat, variance: jnp.mean((x - sg(x_hat)) ** 2) / variance,
        ),
        Misconception(
            "halved",
            "You return half of it. Halves are common in textbooks, but the published figures have none.",
            "Is there a factor too many?",
            lambda x, x_hat, variance: 0.5 * jnp.mean((x - x_hat) ** 2) / variance,
        ),
    ),
    alternatives={
        "optax": lambda x, x_hat, variance: 2 * jnp.mean(optax.l2_loss(x_hat, x)) / variance,
        "dot product": lambda x, x_hat, variance: jnp.vdot(x - x_hat, x - x_hat) / (x.size * variance),
        "scaled first": lambda x, x_hat, variance: jnp.mean(jnp.square((x - x_hat) / jnp.sqrt(variance))),
        "jitted": jax.jit(lambda x, x_hat, variance: jnp.sum((x_hat - x) ** 2) / x.size / variance),
        "vmap over images": lambda x, x_hat, variance: (
            jnp.mean(jax.vmap(lambda a, b: jnp.mean((a - b) ** 2))(x, x_hat)) / variance
        ),
    },
    hints=(
        "Square the difference, average over everything, and measure that in units of the variance.",
        "`jnp.mean` without an axis averages over everything.",
    ),
)

# -- codebook_loss, commitment_loss -----------------------------------------------------------------------------------

_THREE = (
    Probe("value", lambda answer: {"value": answer(MAP, CODES)}),
    Probe(
        "gradient to z_e",
        lambda answer: {"gradient to z_e": _pulls(answer, MAP, CODES, names=("z_e", "c"))["gradient to z_e"]},
    ),
    Probe(
        "gradient to codes",
        lambda answer: {"gradient to codes": _pulls(answer, MAP, CODES, names=("z", "codes"))["gradient to codes"]},
    ),
)


def _one_sided(right, other, mover, held, other_name):
    """Return the slips of a loss that should move `mover` and hold `held` still; `other` is its mirror image."""
    return (
        Misconception(
            "the other loss",
            f"The value is right, but its gradient reaches {held} and not {mover}: this is the {other_name}.",
            "Look again at which of the two arguments you hold still.",
            other,
        ),
        Misconception(
            "neither held still",
            "The value is right, but both sides are moved: the two losses cannot be weighed apart any more.",
            f"Only {mover} should feel this loss.",
            lambda z_e, codes: jnp.mean((z_e - codes) ** 2),
        ),
        Misconception(
            "both held still",
            "The value is right, but nothing can learn from it: every gradient is zero.",
            f"{mover[0].upper() + mover[1:]} must stay outside stop_gradient.",
            lambda z_e, codes: jnp.mean((sg(z_e) - sg(codes)) ** 2),
            also=(lambda z_e, codes: sg(jnp.mean((z_e - codes) ** 2)),),
        ),
        Misconception(
            "sum in place of mean",
            "You add all squares up; the published losses are means over vectors and dimensions.",
            "How should the loss change when the batch doubles?",
            lambda z_e, codes: right(z_e, codes) * z_e.size,
        ),
        Misconception(
            "summed over dimensions",
            "You sum over the D dimensions: the loss would grow with D, and beta mean something else for each.",
            "Average over all axes at once.",
            lambda z_e, codes: right(z_e, codes) * z_e.shape[-1],
        ),
        Misconception(
            "root taken",
            "You take a root: this is a distance, not its square.",
            "The squared distance needs no root.",
            lambda z_e, codes: jnp.sqrt(right(z_e, codes)),
            also=(lambda z_e, codes: jnp.sqrt(right(z_e, codes) * z_e.size),),
        ),
        Misconception(
            "absolute difference",
            "You average absolute differences; both losses are squared.",
            "Which power of the difference is meant?",
            lambda z_e, codes: jnp.mean(jnp.abs(sg(z_e) - codes if mover == "the codes" else z_e - sg(codes))),
        ),
        Misconception(
            "one value a vector",
            "You return one number for each vector; a loss is one number.",
            "Average over all axes.",
            lambda z_e, codes: jnp.mean((sg(z_e) - codes if mover == "the codes" else z_e - sg(codes)) ** 2, axis=-1),
        ),
        Misconception(
            "beta included",
            "You return a quarter of it: beta belongs to the sum of both losses, which comes later.",
            "Leave the weight out here.",
            lambda z_e, codes: 0.25 * right(z_e, codes),
        ),
        Misconception(
            "sign turned",
            "The loss is negative: going downhill would drive vectors and codes apart.",
            "A squared distance is never below zero.",
            lambda z_e, codes: -right(z_e, codes),
        ),
    )


codebook_loss = Exercise(
    id="losses.codebook_loss",
    reference=ref.codebook_loss,
    arguments=("z_e", "codes"),
    probes=_THREE,
    misconceptions=_one_sided(ref.codebook_loss, ref.commitment_loss, "the codes", "the encoder", "commitment loss"),
    alternatives={
        "difference turned round": lambda z_e, codes: jnp.mean(jnp.square(codes - sg(z_e))),
        "optax": lambda z_e, codes: 2 * jnp.mean(optax.l2_loss(codes, sg(z_e))),
        "sum over size": lambda z_e, codes: jnp.sum((sg(z_e) - codes) ** 2) / codes.size,
        "jitted": jax.jit(lambda z_e, codes: jnp.mean((sg(z_e) - codes) ** 2)),
        "mean of means": lambda z_e, codes: jnp.mean(jnp.mean((codes - sg(z_e)) ** 2, axis=-1)),
    },
    hints=(
        "This loss should move the codes. Who must hold still, then?",
        "`jax.lax.stop_gradient(z_e)` has the values of z_e and is felt by nobody.",
    ),
)

commitment_loss = Exercise(
    id="losses.commitment_loss",
    reference=ref.commitment_loss,
    arguments=("z_e", "codes"),
    probes=_THREE,
    misconceptions=_one_sided(ref.commitment_loss, ref.codebook_loss, "the encoder", "the codes", "codebook loss"),
    alternatives={
        "difference turned round": lambda z_e, codes: jnp.mean(jnp.square(sg(codes) - z_e)),
        "optax": lambda z_e, codes: 2 * jnp.mean(optax.l2_loss(z_e, sg(codes))),
        "sum over size": lambda z_e, codes: jnp.sum((z_e - sg(codes)) ** 2) / codes.size,
        "jitted": jax.jit(lambda z_e, codes: jnp.mean((z_e - sg(codes)) ** 2)),
        "the other loss, swapped": lambda z_e, codes: ref.codebook_loss(codes, z_e),
    },
    hints=(
        "This loss should move the encoder's output. Who must hold still, then?",
        "It is the codebook loss with the roles exchanged.",
    ),
)

# -- vq_loss ----------------------------------------------------------------------------------------------------------

_A, _B = ref.codebook_loss, ref.commitment_loss


def _vq_pulls(answer, beta):
    return _pulls(lambda z_e, codes: answer(z_e, codes, beta), MAP, CODES, names=("z_e", "codes"))


vq_loss = Exercise(
    id="losses.vq_loss",
    reference=ref.vq_loss,
    arguments=("z_e", "codes", "beta"),
    probes=(
        Probe("values", lambda answer: {"beta 0.25": answer(MAP, CODES, 0.25), "beta 2": answer(MAP, CODES, 2.0)}),
        Probe("gradients, beta 0.25", lambda answer: _vq_pulls(answer, 0.25)),
        Probe("gradients, beta 2", lambda answer: _vq_pulls(answer, 2.0)),
    ),
    misconceptions=(
        Misconception(
            "beta on the codebook loss",
            "The sum is right, but beta weighs the pull on the codes; it should weigh the pull on the encoder.",
            "Which of the two losses asks the encoder to commit itself?",
            lambda z_e, codes, beta: beta * _A(z_e, codes) + _B(z_e, codes),
        ),
        Misconception(
            "neither held still",
            "The value is right, but each side is pulled with both weights, 1 + beta.",
            "Use your two losses: each knows who must hold still.",
            lambda z_e, codes, beta: (1 + beta) * jnp.mean((z_e - codes) ** 2),
        ),
        Misconception(
            "beta on both",
            "beta weighs both losses, so the codes would learn beta times as fast as published.",
            "Only one of the two losses carries beta.",
            lambda z_e, codes, beta: beta * (_A(z_e, codes) + _B(z_e, codes)),
        ),
        Misconception(
            "beta forgotten",
            "Both losses weigh the same: beta does nothing.",
            "One of the two losses carries beta.",
            lambda z_e, codes, beta: _A(z_e, codes) + _B(z_e, codes),
        ),
        Misconception(
            "beta fixed",
            "You use 0.25 whatever beta is.",
            "beta is handed in; use it.",
            lambda z_e, codes, beta: _A(z_e, codes) + 0.25 * _B(z_e, codes),
        ),
        Misconception(
            "weights that sum to one",
            "You mix the losses with weights 1 - beta and beta; the codebook loss should have weight 1.",
            "What happens to the codes when beta is 1?",
            lambda z_e, codes, beta: (1 - beta) * _A(z_e, codes) + beta * _B(z_e, codes),
        ),
        Misconception(
            "codebook loss only",
            "The commitment loss is missing: nothing keeps the encoder near its codes.",
            "There are two terms.",
            lambda z_e, codes, beta: _A(z_e, codes),
            also=(lambda z_e, codes, beta: beta * _A(z_e, codes),),
        ),
        Misconception(
            "commitment loss only",
            "The codebook loss is missing: nothing moves the codes.",
            "There are two terms.",
            lambda z_e, codes, beta: beta * _B(z_e, codes),
            also=(lambda z_e, codes, beta: _B(z_e, codes),),
        ),
        Misconception(
            "one loss twice",
            "One of the two losses comes twice and the other is missing; their values are equal, so it hides well.",
            "Look at which loss you call in each term.",
            lambda z_e, codes, beta: _A(z_e, codes) + beta * _A(z_e, codes),
            also=(lambda z_e, codes, beta: _B(z_e, codes) + beta * _B(z_e, codes),),
        ),
        Misconception(
            "subtracted",
            "You subtract the commitment loss: going downhill would drive the encoder away from its codes.",
            "Both terms are costs.",
            lambda z_e, codes, beta: _A(z_e, codes) - beta * _B(z_e, codes),
        ),
        Misconception(
            "everything held still",
            "The value is right, but nothing can learn from it: every gradient is zero.",
            "Each term holds one side still, not both.",
            lambda z_e, codes, beta: sg(_A(z_e, codes) + beta * _B(z_e, codes)),
        ),
    ),
    alternatives={
        "terms exchanged": lambda z_e, codes, beta: beta * _B(z_e, codes) + _A(z_e, codes),
        "written out": lambda z_e, codes, beta: jnp.mean((sg(z_e) - codes) ** 2 + beta * (z_e - sg(codes)) ** 2),
        "jitted": jax.jit(lambda z_e, codes, beta: _A(z_e, codes) + beta * _B(z_e, codes)),
        "one loss, swapped": lambda z_e, codes, beta: _A(z_e, codes) + beta * _A(codes, z_e),
    },
    hints=(
        "It is a sum of your two losses; one of them carries beta.",
        "beta says how strongly the encoder commits itself (van den Oord et al., 2017, equation 3).",
    ),
)

# -- bernoulli_nll ----------------------------------------------------------------------------------------------------

LOGITS = jnp.asarray(_rng.normal(size=X.shape) * 2, jnp.float32)
_HUGE = jnp.asarray(_rng.choice([-200.0, 150.0], X.shape), jnp.float32)


def _a_batch(nats):
    return jnp.mean(jnp.sum(nats.reshape(len(nats), -1), axis=1))


def _of_p(x, p):
    return -(x * jnp.log(p) + (1 - x) * jnp.log(1 - p))


bernoulli_nll = Exercise(
    id="losses.bernoulli_nll",
    reference=ref.bernoulli_nll,
    arguments=("x", "logits"),
    probes=(
        Probe("values", lambda answer: {"2 images": answer(X, LOGITS), "1 image": answer(X[:1], LOGITS[1:])}),
        Probe(
            "gradient to logits",
            lambda answer: {
                "gradient to logits": jax.grad(lambda logits: jnp.asarray(answer(X, logits)).sum())(LOGITS)
            },
        ),
        Probe("logits of 150 and -200", lambda answer: {"logits of 150 and -200": answer(X, _HUGE)}),
    ),
    misconceptions=(
        Misconception(
            "overflows for large logits",
            "The formula is right, but the logarithm of a probability that rounds to 0 or 1 is not finite.",
            "Stay with logits: `jax.nn.softplus` and `jax.nn.log_sigmoid` never form the probability.",
            lambda x, logits: _a_batch(_of_p(x, jax.nn.sigmoid(logits))),
            also=(lambda x, logits: _a_batch(_of_p(x, 1 / (1 + jnp.exp(-logits)))),),
        ),
        Misconception(
            "clipped probabilities",
            "You clip the probability before its logarithm: large errors get a ceiling, and no gradient beyond it.",
            "Stay with logits: `jax.nn.softplus` and `jax.nn.log_sigmoid` need no clipping.",
            lambda x, logits: _a_batch(_of_p(x, jnp.clip(jax.nn.sigmoid(logits), 1e-6, 1 - 1e-6))),
            also=tuple(
                (lambda x, logits, e=e: _a_batch(_of_p(x, jnp.clip(jax.nn.sigmoid(logits), e, 1 - e))))
                for e in (1e-7, 1e-5, 1e-4, 1e-3)
            ),
        ),
        Misconception(
            "mean over pixels",
            "You average over pixels: an image's likelihood is a product over its pixels, so its logarithm is a sum.",
            "Sum over an image, average over the batch.",
            lambda x, logits: jnp.mean(jax.nn.softplus(logits) - x * logits),
        ),
        Misconception(
            "sum over the batch",
            "You add the images of the batch up; twice as many would cost twice as much.",
            "Sum over an image, average over the batch.",
            lambda x, logits: jnp.sum(jax.nn.softplus(logits) - x * logits),
        ),
        Misconception(
            "likelihood, not its negative",
            "This is the log-likelihood: going downhill would make the data less likely.",
            "A negative log-likelihood of pixels is never below zero.",
            lambda x, logits: -_a_batch(jax.nn.softplus(logits) - x * logits),
        ),
        Misconception(
            "ink only",
            "Only the ink is scored: a decoder that paints everything white would be perfect.",
            "What does the model say about pixels that are black?",
            lambda x, logits: _a_batch(-x * jax.nn.log_sigmoid(logits)),
        ),
        Misconception(
            "background only",
            "Only the background is scored: a decoder that paints everything black would be perfect.",
            "What does the model say about pixels that are white?",
            lambda x, logits: _a_batch((1 - x) * jax.nn.softplus(logits)),
        ),
        Misconception(
            "logit's sign turned",
            "A large logit is read as black; it means that the pixel is likely to be 1.",
            "s(l) is the probability of ink.",
            lambda x, logits: _a_batch(jax.nn.softplus(logits) - (1 - x) * logits),
            also=(lambda x, logits: _a_batch(jax.nn.softplus(logits) + x * logits),),
        ),
        Misconception(
            "squashed twice",
            "The logits go through a sigmoid before a formula that expects logits.",
            "One sigmoid is enough, and it is inside the formula.",
            lambda x, logits: _a_batch(jax.nn.softplus(jax.nn.sigmoid(logits)) - x * jax.nn.sigmoid(logits)),
        ),
        Misconception(
            "logits taken as probabilities",
            "You take logarithms of logits, as if they were probabilities.",
            "A logit can be any number; a sigmoid makes a probability of it.",
            lambda x, logits: _a_batch(_of_p(x, logits)),
            also=(lambda x, logits: _a_batch(_of_p(x, jnp.clip(logits, 1e-6, 1 - 1e-6))),),
        ),
        Misconception(
            "bits",
            "You return bits; nats were asked for.",
            "Natural logarithms give nats.",
            lambda x, logits: _a_batch(jax.nn.softplus(logits) - x * logits) / jnp.log(2.0),
        ),
        Misconception(
            "squared error",
            "This is a squared error of probabilities, a Gaussian's likelihood in disguise.",
            "The probability of a pixel x under Bernoulli(p) is p^x (1 - p)^(1 - x).",
            lambda x, logits: _a_batch((x - jax.nn.sigmoid(logits)) ** 2),
        ),
        Misconception(
            "one value an image",
            "You return one number for each image; average them over the batch.",
            "A loss is one number.",
            lambda x, logits: jnp.sum((jax.nn.softplus(logits) - x * logits).reshape(len(x), -1), axis=1),
        ),
    ),
    alternatives={
        "optax": lambda x, logits: jnp.sum(optax.sigmoid_binary_cross_entropy(logits, x)) / len(x),
        "log_sigmoid": lambda x, logits: _a_batch(
            -x * jax.nn.log_sigmoid(logits) - (1 - x) * jax.nn.log_sigmoid(-logits)
        ),
        "logaddexp": lambda x, logits: _a_batch(jnp.logaddexp(0.0, logits) - x * logits),
        "by hand": lambda x, logits: _a_batch(
            jnp.maximum(logits, 0) - logits * x + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        ),
        "vmap over images": lambda x, logits: jnp.mean(
            jax.vmap(lambda a, b: jnp.sum(optax.sigmoid_binary_cross_entropy(b, a)))(x, logits)
        ),
    },
    hints=(
        "For one pixel: -log p^x (1 - p)^(1 - x), with p the sigmoid of the logit.",
        "-log p is softplus(-l) and -log(1 - p) is softplus(l): neither forms p, so neither overflows.",
        "Sum over all axes but the first, then average.",
    ),
)

# -- uniform_prior_nats -----------------------------------------------------------------------------------------------


def _prior(value):
    return Probe("values", lambda answer: {name: answer(n, k) for name, (n, k) in value.items()}, points=1)


uniform_prior_nats = Exercise(
    id="losses.uniform_prior_nats",
    reference=ref.uniform_prior_nats,
    arguments=("num_latents", "num_codes"),
    probes=(_prior({"49 latents of 128 codes": (49, 128), "1 latent of 64 codes": (1, 64), "6 of 10": (6, 10)}),),
    misconceptions=(
        Misconception(
            "bits",
            "You return bits; nats were asked for.",
            "Natural logarithms give nats.",
            lambda n, k: n * math.log2(k),
        ),
        Misconception(
            "digits",
            "You return decimal digits; nats were asked for.",
            "Natural logarithms give nats.",
            lambda n, k: n * math.log10(k),
        ),
        Misconception(
            "one latent only",
            "This is the price of one code; an image has several.",
            "Independent choices multiply, so their logarithms add.",
            lambda n, k: math.log(k),
        ),
        Misconception(
            "codes and latents exchanged",
            "You count N^K maps; there are K choices at each of N places.",
            "With one latent of 64 codes, how many different maps are there?",
            lambda n, k: k * math.log(n),
        ),
        Misconception(
            "product in the logarithm",
            "You take the logarithm of N times K; the number of maps is K to the power of N.",
            "Each further latent multiplies the number of maps by K.",
            lambda n, k: math.log(n * k),
            also=(lambda n, k: math.log(n + k), lambda n, k: math.log(n) + math.log(k)),
        ),
        Misconception(
            "sign turned",
            "This is the log-probability; what the prior costs is its negative.",
            "A cost in nats is never below zero.",
            lambda n, k: -n * math.log(k),
        ),
        Misconception(
            "no logarithm",
            "You count without taking a logarithm.",
            "Nats are natural logarithms of counts or probabilities.",
            lambda n, k: float(n * k),
            also=(lambda n, k: float(k) ** n, lambda n, k: n / k, lambda n, k: float(k) ** -n),
        ),
        Misconception(
            "entropy of one code in place of a sum",
            "You average where the costs of independent latents add up.",
            "Two latents cost twice as much as one.",
            lambda n, k: math.log(k) / n,
        ),
    ),
    alternatives={
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
)

# -- perplexity -------------------------------------------------------------------------------------------------------

# Two maps that use different codes, so that averaging over maps shows; codes 4 and 6 are never used.
_INDICES = jnp.array([[[0, 0, 1], [0, 1, 0]], [[5, 2, 5], [3, 3, 3]]])


def _usage(indices, num_codes):
    return jnp.bincount(indices.reshape(-1), length=num_codes) / indices.size


def _entropy(p, log=jnp.log):
    return -jnp.sum(jnp.where(p > 0, p * log(jnp.where(p > 0, p, 1.0)), 0.0))


perplexity = Exercise(
    id="losses.perplexity",
    reference=ref.perplexity,
    arguments=("indices", "num_codes"),
    probes=(
        Probe("some codes unused", lambda answer: {"some codes unused": answer(_INDICES, 7)}),
        Probe(
            "every code used",
            lambda answer: {
                "all alike": answer(jnp.arange(12).reshape(3, 4) % 6, 6),
                "in a list": answer(jnp.array([0, 1, 1, 2, 1]), 3),
            },
        ),
    ),
    misconceptions=(
        Misconception(
            "0 log 0",
            "A code that is never used makes 0 times the logarithm of 0, which is NaN; its limit is 0.",
            "Keep the logarithm away from 0, or leave unused codes out of the sum.",
            lambda i, k: jnp.exp(-jnp.sum(_usage(i, k) * jnp.log(_usage(i, k)))),
        ),
        Misconception(
            "log2 with exp",
            "The entropy is in bits and the exponential in nats: they have to match.",
            "log goes with exp, log2 with 2 to the power of.",
            lambda i, k: jnp.exp(_entropy(_usage(i, k), jnp.log2)),
        ),
        Misconception(
            "log with a power of 2",
            "The entropy is in nats and the power is of 2: they have to match.",
            "log goes with exp, log2 with 2 to the power of.",
            lambda i, k: 2 ** _entropy(_usage(i, k)),
        ),
        Misconception(
            "entropy itself",
            "This is the entropy, in nats or bits; perplexity is its exponential.",
            "How many codes, used equally often, would have this entropy?",
            lambda i, k: _entropy(_usage(i, k)),
            also=(lambda i, k: _entropy(_usage(i, k), jnp.log2),),
        ),
        Misconception(
            "mean over the maps",
            "You average the perplexity of each map: two maps that use different codes should count together.",
            "Count over all indices at once.",
            lambda i, k: (
                jnp.mean(jnp.stack([jnp.exp(_entropy(_usage(one, k))) for one in i]))
                if i.ndim > 2
                else jnp.exp(_entropy(_usage(i, k)))
            ),
            also=(lambda i, k: jnp.mean(jnp.stack([jnp.exp(_entropy(_usage(one, k))) for one in jnp.atleast_2d(i)])),),
        ),
        Misconception(
            "codes counted, not weighed",
            "You count the codes in use; one that is used once should weigh less than one used all the time.",
            "Perplexity looks at how often each code is used.",
            lambda i, k: jnp.sum(_usage(i, k) > 0) * 1.0,
        ),
        Misconception(
            "counts in place of shares",
            "You use counts where shares that sum to 1 are meant.",
            "Divide by how many indices there are.",
            lambda i, k: jnp.exp(-jnp.sum(_usage(i, k) * i.size * jnp.log(_usage(i, k) * i.size + 1e-10))),
        ),
        Misconception(
            "divided by the number of codes",
            "You divide the counts by K; shares are counts divided by how many indices there are.",
            "Shares have to sum to 1.",
            lambda i, k: jnp.exp(_entropy(_usage(i, k) * i.size / k)),
        ),
        Misconception(
            "sign turned",
            "You return one over the perplexity: the minus before the sum is missing.",
            "An entropy is never below zero, so perplexity is never below 1.",
            lambda i, k: jnp.exp(-_entropy(_usage(i, k))),
        ),
        Misconception(
            "share of the codebook",
            "You divide by K at the end: perplexity counts codes, from 1 to K.",
            "With all codes used equally often it is K.",
            lambda i, k: jnp.exp(_entropy(_usage(i, k))) / k,
        ),
        Misconception(
            "smoothed too much",
            "What you add inside the logarithm is large enough to be seen in the result.",
            "1e-10 keeps the logarithm finite and changes nothing.",
            lambda i, k: jnp.exp(-jnp.sum(_usage(i, k) * jnp.log(_usage(i, k) + 1e-2))),
            also=tuple(
                (lambda i, k, e=e: jnp.exp(-jnp.sum(_usage(i, k) * jnp.log(_usage(i, k) + e))))
                for e in (1e-3, 0.1, 1.0)
            ),
        ),
    ),
    alternatives={
        "numpy": lambda i, k: np.exp(
            -sum(p * np.log(p) for p in np.bincount(np.asarray(i).ravel(), minlength=k) / np.size(i) if p > 0)
        ),
        "one-hot mean with 1e-10": lambda i, k: (lambda p: jnp.exp(-jnp.sum(p * jnp.log(p + 1e-10))))(
            jnp.mean(jax.nn.one_hot(i, k).reshape(-1, k), axis=0)
        ),
        "bits": lambda i, k: 2.0 ** _entropy(_usage(i, k), jnp.log2),
        "product of powers": lambda i, k: jnp.prod(_usage(i, k) ** -_usage(i, k)),
        "jax.scipy": lambda i, k: jnp.exp(jnp.sum(jax.scipy.special.entr(_usage(i, k)))),
        "jitted": jax.jit(lambda i, k: jnp.exp(_entropy(_usage(i, k))), static_argnums=1),
    },
    hints=(
        "First the share of each code among all indices: K numbers that sum to 1.",
        "Then exp(-sum p log p). What does a share of 0 do to it, and what should it do?",
        "`jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0)` leaves unused codes out; so does adding 1e-10.",
    ),
)

# -- repair_quantizer: find the bug with a gradient -------------------------------------------------------------------


def broken_quantizer(z_e, codebook, beta):
    """The published slip: both losses are taken after the straight-through line. Every value is right."""
    z_q = quantizer.look_up(quantizer.nearest_code(z_e, codebook), codebook)
    z_q = z_e + sg(z_q - z_e)
    loss = jnp.mean((sg(z_e) - z_q) ** 2) + beta * jnp.mean((z_e - sg(z_q)) ** 2)
    return z_q, loss


def _layer(loss, z_q=quantizer.straight_through):
    def answer(z_e, codebook, beta):
        codes = quantizer.look_up(quantizer.nearest_code(z_e, codebook), codebook)
        return z_q(z_e, codes), loss(z_e, codes, beta)

    return answer


def _through(answer):
    """Return the gradient of z_q to both inputs."""
    z_e, codebook = pull_back(lambda z_e, codebook: answer(z_e, codebook, 0.25)[0], MAP, CODEBOOK)
    return {"gradient of z_q to z_e": z_e, "gradient of z_q to the codebook": codebook}


def _of_loss(answer):
    pulls = _pulls(lambda z_e, codebook: answer(z_e, codebook, 0.25)[1], MAP, CODEBOOK, names=("z_e", "the codebook"))
    return {f"{name} of the loss": gradient for name, gradient in pulls.items()}


repair_quantizer = Exercise(
    id="losses.repair_quantizer",
    reference=ref.repair_quantizer,
    arguments=("z_e", "codebook", "beta"),
    probes=(
        Probe("values", lambda answer: dict(zip(("z_q", "loss"), answer(MAP, CODEBOOK, 0.25), strict=True))),
        Probe("gradients of the loss", _of_loss, points=2),
        Probe("gradients of z_q", _through),
    ),
    misconceptions=(
        Misconception(
            "losses after straight-through",
            "Every value is right and the codebook's gradient is zero: to the losses, z_q is z_e plus a constant.",
            "Which lines still need the codes as they were looked up?",
            broken_quantizer,
            also=(
                _layer(lambda z_e, codes, beta: ref.vq_loss(z_e, quantizer.straight_through(z_e, codes), beta)),
                _layer(
                    lambda z_e, codes, beta: (
                        ref.codebook_loss(z_e, z_e + sg(codes - z_e)) + beta * ref.commitment_loss(z_e, codes)
                    )
                ),
            ),
        ),
        Misconception(
            "straight-through lost",
            "The losses are mended, but z_q is now the code itself: the encoder gets nothing from the decoder.",
            "Keep both: the codes for the losses, straight-through for what is returned.",
            _layer(ref.vq_loss, z_q=lambda z_e, codes: codes),
        ),
        Misconception(
            "z_q held still",
            "The losses are mended, but no gradient leaves z_q at all.",
            "What is returned has the gradient of z_e.",
            _layer(ref.vq_loss, z_q=lambda z_e, codes: sg(codes)),
        ),
        Misconception(
            "gradient to both sides",
            "The losses are mended, but the decoder's gradient reaches the codebook as well.",
            "The correction in the straight-through line is held still as a whole.",
            _layer(ref.vq_loss, z_q=lambda z_e, codes: codes + z_e - sg(z_e)),
        ),
        Misconception(
            "beta on the codebook loss",
            "Both sides are pulled, but with each other's weight: beta belongs to the pull on the encoder.",
            "Which of the two terms holds the codes still?",
            _layer(lambda z_e, codes, beta: beta * _A(z_e, codes) + _B(z_e, codes)),
        ),
        Misconception(
            "neither held still",
            "Both sides are pulled with both weights: the stop_gradients are gone.",
            "Each term holds one side still.",
            _layer(lambda z_e, codes, beta: (1 + beta) * jnp.mean((z_e - codes) ** 2)),
        ),
        Misconception(
            "beta forgotten",
            "Both losses weigh the same now.",
            "The pull on the encoder carries beta.",
            _layer(lambda z_e, codes, beta: _A(z_e, codes) + _B(z_e, codes)),
        ),
        Misconception(
            "codebook loss only",
            "The commitment loss is gone: nothing keeps the encoder near its codes.",
            "The layer had two terms, and both were meant.",
            _layer(lambda z_e, codes, beta: _A(z_e, codes)),
        ),
        Misconception(
            "commitment loss only",
            "The codebook loss is gone: nothing moves the codes.",
            "The layer had two terms, and both were meant.",
            _layer(lambda z_e, codes, beta: beta * _B(z_e, codes)),
        ),
        Misconception(
            "loss held still",
            "The values are right, but nothing can learn from this loss.",
            "Each term holds one side still, not both.",
            _layer(lambda z_e, codes, beta: sg(ref.vq_loss(z_e, codes, beta))),
        ),
    ),
    alternatives={
        "only the codebook term moved up": _layer(
            lambda z_e, codes, beta: _A(z_e, codes) + beta * jnp.mean((z_e - sg(z_e + sg(codes - z_e))) ** 2)
        ),
        "one-hot product": lambda z_e, codebook, beta: (
            lambda codes: (sg(codes) + z_e - sg(z_e), _A(z_e, codes) + beta * _B(z_e, codes))
        )(jax.nn.one_hot(quantizer.nearest_code(z_e, codebook), len(codebook)) @ codebook),
        "jitted": jax.jit(ref.repair_quantizer),
        "written out": _layer(
            lambda z_e, codes, beta: jnp.mean((sg(z_e) - codes) ** 2 + beta * (z_e - sg(codes)) ** 2)
        ),
    },
    hints=(
        "Differentiate the loss with respect to the codebook. What do you see, and which line makes it so?",
        "After z_q = z_e + stop_gradient(...), is there any codebook left in z_q, as far as a gradient is concerned?",
        "Give the looked-up codes a name of their own, and use that name in the losses.",
    ),
)

EXERCISES = (
    reconstruction_loss,
    codebook_loss,
    commitment_loss,
    vq_loss,
    bernoulli_nll,
    uniform_prior_nats,
    perplexity,
    repair_quantizer,
)

QUESTIONS = (
    Question(
        id="losses.q_beta_zero",
        asks="Training goes on with beta = 0. What do you expect?",
        choices={
            "a": (
                "The codes stop moving.",
                "The codebook loss moves them, and beta is not in it.",
            ),
            "b": (
                "The encoder's outputs may grow without bound, and the codes run after them.",
                "Nothing asks the encoder to stay, and reconstruction may gain from larger outputs; the codebook loss "
                "chases. Distances can then grow faster than the codes catch up.",
            ),
            "c": (
                "Nothing changes: the straight-through estimator keeps the encoder near its codes.",
                "Straight-through hands a gradient over; it pulls nobody towards a code.",
            ),
        },
        best="b",
    ),
    Question(
        id="losses.q_perplexity",
        asks="A codebook of 128 has a perplexity of 6, and 39 of its codes are used at least once. What does that say?",
        choices={
            "a": (
                "Six codes are used and the others never are.",
                "Thirty-nine are used; perplexity weighs each by how often.",
            ),
            "b": (
                "A few codes are used for most of the image and the rest rarely: as spread out as 6 codes used equally "
                "often.",
                "In digits one code stands for empty background nearly everywhere; that alone pulls perplexity down.",
            ),
            "c": (
                "The training is broken: perplexity should reach 128.",
                "It would, if all codes were equally likely; pictures are mostly background, so they are not.",
            ),
        },
        best="b",
    ),
    Question(
        id="losses.q_constant",
        asks="A uniform prior charges N log K nats for an image's codes. Why do most implementations leave that out?",
        choices={
            "a": (
                "It is too small to matter.",
                "For 49 codes out of 128 it is 238 nats an image, which is not small.",
            ),
            "b": (
                "It does not depend on any parameter, so its gradient is zero.",
                "It is the same for every image and every network: worth knowing when losses are compared, useless to "
                "an optimizer.",
            ),
            "c": (
                "It would make the codes less diverse.",
                "A constant changes nothing in training, neither for better nor for worse.",
            ),
        },
        best="b",
    ),
)
