"""Lesson 01, second half: a gradient through the choice, the whole layer, and who gets which gradient."""

import haiku as hk
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient as sg

from vqtutor.checking import Exercise, Misconception, Probe, Question
from vqtutor.exercises import quantizer
from vqtutor.exercises.quantizer import CODEBOOK, MAP, pull_back
from vqtutor.models import quantizer as ref

# -- straight_through -------------------------------------------------------------------------------------------------


@jax.custom_vjp
def _identity_backward(z_e, z_q):
    return z_q


_identity_backward.defvjp(lambda z_e, z_q: (z_q, None), lambda _, g: (g, jnp.zeros_like(g)))

straight_through = Exercise(
    id="quantizer.straight_through",
    reference=ref.straight_through,
    arguments=("z_e", "z_q"),
    probes=(
        Probe("values", lambda answer: {"values": answer(MAP, 2 * MAP[::-1])}),
        Probe(
            "gradient to z_e",
            lambda answer: {"gradient to z_e": pull_back(lambda z: answer(z, 2 * MAP[::-1]), MAP)[0]},
        ),
        Probe(
            "gradient to z_q",
            lambda answer: {"gradient to z_q": pull_back(lambda q: answer(MAP, q), 2 * MAP[::-1])[0]},
        ),
    ),
    misconceptions=(
        Misconception(
            "no estimator at all",
            "The gradient goes to the codes and none to the encoder: this is z_q, however it is written.",
            "z_e + (z_q - z_e) is just z_q until something in it is held still.",
            lambda z_e, z_q: z_q,
            also=(lambda z_e, z_q: z_e + (z_q - z_e),),
        ),
        Misconception(
            "everything held still",
            "The value is right, but no gradient comes through to either side.",
            "One z_e must stay outside stop_gradient: that is the one the gradient travels through.",
            lambda z_e, z_q: sg(z_q),
            also=(lambda z_e, z_q: sg(z_e + z_q - z_e),),
        ),
        Misconception(
            "gradient to both sides",
            "The value is right and the encoder gets its gradient, but the codes get it as well.",
            "The correction z_q - z_e should be held still as a whole, not only its z_e.",
            lambda z_e, z_q: z_q + z_e - sg(z_e),
        ),
        Misconception(
            "difference turned round",
            "You step from z_e away from the code: the value is 2 z_e - z_q.",
            "Where must you go from z_e to arrive at z_q?",
            lambda z_e, z_q: z_e + sg(z_e - z_q),
            also=(lambda z_e, z_q: z_e - sg(z_q - z_e),),
        ),
        Misconception(
            "arguments swapped",
            "The value is z_e with the gradient going to the codes: the two have changed places.",
            "The decoder should see the code; the encoder should get the gradient.",
            lambda z_e, z_q: z_q + sg(z_e - z_q),
        ),
        Misconception(
            "not quantized",
            "You return z_e itself: the gradient is right but the decoder would never see a code.",
            "Going forward, the value must be z_q exactly.",
            lambda z_e, z_q: z_e,
            also=(lambda z_e, z_q: sg(z_q) * 0 + z_e,),
        ),
        Misconception(
            "both values added",
            "z_e is added on top of z_q: its value has to be taken away again, where no gradient sees it.",
            "Which amount of z_e is zero going forward, yet carries a gradient?",
            lambda z_e, z_q: z_e + sg(z_q),
        ),
        Misconception(
            "encoder held still in place of the correction",
            "The value is right, but the z_e that should carry the gradient is the one inside stop_gradient.",
            "Hold the correction still, and let z_e be free.",
            lambda z_e, z_q: sg(z_e) + (z_q - z_e),
        ),
        Misconception(
            "half way",
            "You return the middle between vector and code.",
            "Going forward, the value must be z_q exactly.",
            lambda z_e, z_q: (z_e + z_q) / 2,
            also=(lambda z_e, z_q: z_e + sg(z_q - z_e) / 2,),
        ),
    ),
    alternatives={
        "code first": lambda z_e, z_q: sg(z_q) + z_e - sg(z_e),
        "zero with a gradient": lambda z_e, z_q: sg(z_q) + (z_e - sg(z_e)),
        "custom_vjp": _identity_backward,
        "jitted": jax.jit(lambda z_e, z_q: z_e - sg(z_e - z_q)),
        "vmap": jax.vmap(lambda z_e, z_q: z_e + sg(z_q - z_e)),
        "each held still": lambda z_e, z_q: z_e + (sg(z_q) - sg(z_e)),
    },
    hints=(
        "The value should be z_q and the gradient that of z_e. Start from z_e: what must you add to arrive at z_q?",
        "If what you add carries no gradient, only z_e's own is left.",
        "`jax.lax.stop_gradient(x)` has the value of x and the gradient of a constant.",
    ),
)


# -- VectorQuantizer --------------------------------------------------------------------------------------------------

K, D = CODEBOOK.shape


def _layer(answer):
    """Return (initial parameters, apply, planted parameters): every [K, D] leaf is set to the probes' codebook."""
    network = hk.without_apply_rng(hk.transform(lambda z: answer(K, D)(z)))
    params = network.init(jax.random.key(0), MAP)

    def plant(leaf):
        return CODEBOOK if leaf.shape == (K, D) else CODEBOOK.T if leaf.shape == (D, K) else leaf

    return params, network.apply, jax.tree.map(plant, params)


def _parameters(answer):
    params, _, _ = _layer(answer)
    (module,) = params.values() if len(params) == 1 else ({},)
    codebook = module.get("codebook", jnp.zeros((0, D)))
    rows = jnp.round(codebook * 1e6) if codebook.ndim == 2 else jnp.zeros((1, 1))
    return {
        "number of parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        'shape of "codebook"': jnp.array(codebook.shape),
        "distinct rows at the start": len(jnp.unique(rows, axis=0)),
    }


def _forward(answer):
    _, apply, planted = _layer(answer)
    out = apply(planted, MAP)
    return {name: out[name] for name in ("z_q", "codes", "indices") if name in out}


def _gradients(answer):
    _, apply, planted = _layer(answer)
    seen = {}
    for name in ("z_q", "codes"):
        to_params, to_z_e = pull_back(lambda p, z, name=name: apply(p, z)[name], planted, MAP)
        seen |= {f"gradient of {name} to z_e": to_z_e}
        seen |= {f"gradient of {name} to the codebook": jax.tree.leaves(to_params)[0]}
    return seen


def quantizer_like(codes_from=lambda z_e, codes, z_q: codes, z_q_from=ref.straight_through, **options):
    """Return a layer that differs from the right one in what is named: the misconceptions are variations of it."""
    shape, transpose = options.get("shape", lambda k, d: (k, d)), options.get("transpose", False)
    name, init = options.get("parameter", "codebook"), options.get("init", hk.initializers.RandomUniform(-0.05, 0.05))
    get, keep = options.get("get", hk.get_parameter), options.get("keep", ("z_q", "codes", "indices"))
    index = options.get("index", ref.nearest_code)

    class VectorQuantizer(hk.Module):
        def __init__(self, num_codes, code_dim, name=None):
            super().__init__(name=name)
            self.size = shape(num_codes, code_dim)

        def __call__(self, z_e):
            codebook = get(name, self.size, z_e.dtype, init=init)
            codebook = codebook.T if transpose else codebook
            indices = index(z_e, codebook)
            codes = ref.look_up(indices, codebook)
            z_q = z_q_from(z_e, codes)
            out = {"z_q": z_q, "codes": codes_from(z_e, codes, z_q), "indices": indices}
            return {key: out[key] for key in keep}

    return VectorQuantizer


class _ByOneHot(hk.Module):
    def __init__(self, num_codes, code_dim, name=None):
        super().__init__(name=name)
        self.codebook = hk.get_parameter("codebook", [num_codes, code_dim], init=hk.initializers.VarianceScaling())

    def __call__(self, z_e):
        indices = jnp.argmin(jnp.sum(self.codebook**2, -1) - 2 * z_e @ self.codebook.T, axis=-1)
        codes = jax.nn.one_hot(indices, len(self.codebook)) @ self.codebook
        return dict(indices=indices, codes=codes, z_q=sg(codes) + (z_e - sg(z_e)))


vector_quantizer = Exercise(
    id="quantizer.VectorQuantizer",
    reference=ref.VectorQuantizer,
    arguments=("num_codes", "code_dim"),
    base=hk.Module,
    probes=(
        Probe("outputs", _forward),
        Probe("parameters", _parameters),
        Probe("gradients", _gradients, points=2),
    ),
    misconceptions=(
        Misconception(
            "no straight-through",
            "z_q is the looked-up code itself, so the decoder's gradient ends here and the encoder never learns.",
            "Pass z_e and the codes through your straight_through.",
            quantizer_like(z_q_from=lambda z_e, codes: codes),
        ),
        Misconception(
            "codes after straight-through",
            "`codes` is the straight-through output: a loss on it sends its gradient to z_e, none to the codebook.",
            "`codes` should be the rows as you looked them up; only z_q goes through straight_through.",
            quantizer_like(codes_from=lambda z_e, codes, z_q: z_q),
        ),
        Misconception(
            "codes held still",
            "`codes` carries no gradient, so no loss could ever move the codebook.",
            "The only stop_gradient of this layer lives in straight_through.",
            quantizer_like(codes_from=lambda z_e, codes, z_q: sg(codes)),
        ),
        Misconception(
            "outputs swapped",
            "z_q and codes have changed places: the one for the decoder is called z_q.",
            "Which of the two should carry a gradient back to z_e?",
            quantizer_like(
                codes_from=lambda z_e, codes, z_q: ref.straight_through(z_e, codes), z_q_from=lambda z_e, codes: codes
            ),
        ),
        Misconception(
            "all codes start alike",
            "Every code starts at the same place, so index 0 wins every tie and the others are never used.",
            "Give hk.get_parameter an initializer that spreads the rows.",
            quantizer_like(init=jnp.zeros),
            also=(quantizer_like(init=jnp.ones),),
        ),
        Misconception(
            "codebook on its side",
            "The parameter is [D, K]; the course keeps one code a row, [K, D].",
            "Look at the shape you give hk.get_parameter.",
            quantizer_like(shape=lambda k, d: (d, k), transpose=True),
        ),
        Misconception(
            "codebook under another name",
            "The layer works, but its parameter is not called `codebook`, and the pictures look for that name.",
            "Look at the first argument of hk.get_parameter.",
            quantizer_like(parameter="embeddings"),
            also=(quantizer_like(parameter="w"), quantizer_like(parameter="embedding")),
        ),
        Misconception(
            "codebook not trainable",
            "The codebook is kept as state, which no optimizer ever sees.",
            "A trainable array comes from hk.get_parameter.",
            quantizer_like(get=lambda name, shape, dtype, init: jax.random.normal(jax.random.key(3), shape, dtype)),
        ),
        Misconception(
            "indices left out",
            "The indices are missing from what you return: code maps and the prior are made of them.",
            'Return all three: "z_q", "codes" and "indices".',
            quantizer_like(keep=("z_q", "codes")),
        ),
        Misconception(
            "farthest code",
            "The layer picks the code that is farthest away.",
            "Use your nearest_code.",
            quantizer_like(index=lambda z, c: jnp.argmin(-jnp.sum((z[..., None, :] - c) ** 2, -1), -1)),
        ),
        Misconception(
            "gradient to both sides",
            "The decoder's gradient reaches the encoder, but the codebook as well.",
            "The correction inside straight_through should be held still as a whole.",
            quantizer_like(z_q_from=lambda z_e, codes: codes + z_e - sg(z_e)),
        ),
    ),
    alternatives={
        "one-hot product, parameter made at construction": _ByOneHot,
        "wider start": quantizer_like(init=hk.initializers.RandomUniform(-1.0, 1.0)),
        "normal start": quantizer_like(init=hk.initializers.RandomNormal()),
        "int64-like indices": quantizer_like(index=lambda z, c: ref.nearest_code(z, c).astype(jnp.uint8)),
        "straight-through by custom_vjp": quantizer_like(z_q_from=_identity_backward),
    },
    hints=(
        'The codebook: `hk.get_parameter("codebook", [K, D], init=hk.initializers.RandomUniform(-0.05, 0.05))`.',
        "Then it is three of your own functions in a row: nearest_code, look_up, straight_through.",
        "Return the rows as you looked them up under `codes`; what goes through straight_through is `z_q`.",
    ),
)

# -- gradient_reach: find the bug with a probe ------------------------------------------------------------------------

# The first four have the value z_q, and only derivatives tell them apart. The others catch probes that look at
# the sign, the sum or all elements of a gradient.
LAYERS = {
    "straight-through": ref.straight_through,
    "leaky": lambda z_e, z_q: z_q + z_e - sg(z_e),
    "plain": lambda z_e, z_q: z_q,
    "cut": lambda z_e, z_q: sg(z_q),
    "downhill": lambda z_e, z_q: -z_e - jnp.abs(z_q),
    "one dimension": lambda z_e, z_q: sg(z_q) + z_e * jnp.array([0.0, 0.0, 1.0]),
    "cancelling": lambda z_e, z_q: sg(z_q) + z_e * jnp.array([1.0, -1.0, 0.0]),
}
_Z_E, _Z_Q = MAP[0], jnp.abs(MAP[1]) + 0.1


def gradient_reach(layer, z_e, z_q):
    """Return (does a gradient of layer(z_e, z_q) reach z_e, does one reach z_q), two bools.

    Args:
      layer: `(z_e, z_q) -> [..., D]`, such as a straight-through estimator.
      z_e, z_q: [..., D].
    """
    to_z_e, to_z_q = jax.grad(lambda z_e, z_q: jnp.sum(layer(z_e, z_q)), argnums=(0, 1))(z_e, z_q)
    return bool(jnp.any(to_z_e != 0)), bool(jnp.any(to_z_q != 0))


def _reach_like(judge_one, pick=lambda pair: pair, of=jnp.sum):
    def answer(layer, z_e, z_q):
        grads = jax.grad(lambda z_e, z_q: of(layer(z_e, z_q)), argnums=(0, 1))(z_e, z_q)
        return pick(tuple(judge_one(g) for g in grads))

    return answer


def _reach(answer, names):
    seen = {}
    for name in names:
        to_z_e, to_z_q = answer(LAYERS[name], _Z_E, _Z_Q)
        seen |= {f"{name} layer reaches z_e": to_z_e, f"{name} layer reaches z_q": to_z_q}
    return seen


gradient_reach_exercise = Exercise(
    id="quantizer.gradient_reach",
    reference=gradient_reach,
    arguments=("layer", "z_e", "z_q"),
    probes=(
        Probe("the usual suspects", lambda answer: _reach(answer, ("straight-through", "leaky", "plain", "cut"))),
        Probe("odd layers", lambda answer: _reach(answer, ("downhill", "one dimension", "cancelling"))),
    ),
    misconceptions=(
        Misconception(
            "compares values",
            "You look at what comes out; these layers give the same values and differ only in their gradients.",
            "Differentiate the layer: jax.grad of a scalar made of its output.",
            lambda layer, z_e, z_q: (
                bool(jnp.allclose(layer(z_e, z_q), z_e)),
                bool(jnp.allclose(layer(z_e, z_q), z_q)),
            ),
        ),
        Misconception(
            "the two swapped",
            "The two answers have changed places.",
            "argnums=(0, 1) gives the gradient to z_e first.",
            _reach_like(lambda g: bool(jnp.any(g != 0)), pick=lambda pair: pair[::-1]),
        ),
        Misconception(
            "positive and negative cancel",
            "You add the gradient up before you look: positive and negative parts cancel, and a gradient goes unseen.",
            "Ask whether any element differs from zero.",
            _reach_like(lambda g: bool(jnp.sum(g) != 0)),
            also=(_reach_like(lambda g: bool(jnp.abs(jnp.sum(g)) > 1e-4)),),
        ),
        Misconception(
            "all in place of any",
            "You ask every element to get a gradient; one is enough to leak.",
            "all and any answer different questions.",
            _reach_like(lambda g: bool(jnp.all(g != 0))),
        ),
        Misconception(
            "only positive gradients",
            "A negative gradient reaches its input just as well.",
            "Compare with zero, not with its sign.",
            _reach_like(lambda g: bool(jnp.any(g > 0))),
            also=(_reach_like(lambda g: bool(jnp.max(g) > 0)),),
        ),
        Misconception(
            "the gradients themselves",
            "You return the gradients; a yes or no for each is asked for.",
            "Does any element differ from zero?",
            _reach_like(lambda g: g),
        ),
        Misconception(
            "the question turned round",
            "You say True where the gradient is zero.",
            "True should mean that the gradient arrives.",
            _reach_like(lambda g: bool(jnp.all(g == 0))),
        ),
    ),
    alternatives={
        "absolute sum": _reach_like(lambda g: bool(jnp.abs(g).sum() > 0)),
        "jax bools": _reach_like(lambda g: jnp.any(g != 0)),
        "norm": _reach_like(lambda g: bool(jnp.linalg.norm(g) > 0)),
        "vjp with ones": lambda layer, z_e, z_q: tuple(
            bool(jnp.any(g)) for g in jax.vjp(layer, z_e, z_q)[1](jnp.ones_like(z_e))
        ),
        "one grad each": lambda layer, z_e, z_q: (
            bool(jnp.any(jax.grad(lambda z: layer(z, z_q).sum())(z_e))),
            bool(jnp.any(jax.grad(lambda q: layer(z_e, q).sum())(z_q))),
        ),
        "another scalar": _reach_like(lambda g: bool(jnp.any(g != 0)), of=lambda out: jnp.sum(3 * out)),
    },
    hints=(
        "jax.grad differentiates a function that returns one number: make one of the layer's output with jnp.sum.",
        "`jax.grad(f, argnums=(0, 1))(z_e, z_q)` gives both gradients; then ask each whether any element is not 0.",
    ),
)

EXERCISES = (
    quantizer.squared_distances,
    quantizer.nearest_code,
    quantizer.look_up,
    straight_through,
    vector_quantizer,
    gradient_reach_exercise,
)

QUESTIONS = (
    Question(
        id="quantizer.q_flat",
        asks="Why does no gradient come through argmin by itself?",
        choices={
            "a": (
                "JAX has not implemented its derivative.",
                "JAX has: it is zero. No library can do better, because the function is flat.",
            ),
            "b": (
                "Move z_e a little and the index stays the same: the function is flat almost everywhere.",
                "Yes. A step function has slope zero wherever it has a slope, so nothing tells z_e which way to go.",
            ),
            "c": (
                "The index is too large a number for float32.",
                "Indices are small whole numbers; precision is not the matter.",
            ),
            "d": (
                "The codebook is random at the start.",
                "A trained codebook has the same trouble: it lies in the choosing, not in what is chosen from.",
            ),
        },
        best="b",
    ),
    Question(
        id="quantizer.q_distance",
        asks="Training moves all codes away from the origin until they are ten times as long as before, and z_e too. "
        "Which quantity decides which code is nearest?",
        choices={
            "a": (
                "The dot product z.e alone.",
                "Then the longest code would win nearly always; its own |e|^2 is what holds it back.",
            ),
            "b": (
                "|e|^2 - 2 z.e",
                "Yes. |z|^2 is the same for every code, so it cannot change which one wins, and may be dropped.",
            ),
            "c": (
                "|z|^2 - 2 z.e",
                "|z|^2 is the same for all codes and decides nothing; without |e|^2 long codes win unfairly.",
            ),
        },
        best="b",
    ),
    Question(
        id="quantizer.q_leak",
        asks="Three layers gave the same picture. What would the leaky one do to a codebook in training?",
        choices={
            "a": (
                "Nothing: the values are the same, so the training is.",
                "Training follows gradients, not values, and the gradients differ.",
            ),
            "b": (
                "The codebook would never move.",
                "The opposite: it is moved by one loss more than intended.",
            ),
            "c": (
                "The reconstruction loss would push the codes too, not only the encoder.",
                "Yes. Codes are then pulled by what the decoder wants as well as by the vectors they stand for.",
            ),
        },
        best="c",
    ),
)
