"""Lesson 04, second half: the layer that keeps the running mean, and codes that nobody chooses."""

import haiku as hk
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient as sg

from vqtutor.checking import Exercise, Misconception, Probe, Question
from vqtutor.exercises import ema
from vqtutor.exercises.ema import CODES, COUNTS, MAP, NAMES, SUMS, D, Z
from vqtutor.exercises.quantizer import pull_back
from vqtutor.models import ema as ref
from vqtutor.models import quantizer

K = len(CODES)
OPTIONS = {"decay": 0.8, "epsilon": 0.3}  # far from the defaults, so that a constant in their place shows

# -- EMAVectorQuantizer -----------------------------------------------------------------------------------------------


def _layer(answer, **options):
    """Return (transformed layer, parameters, its state with the probes' numbers planted under the promised names)."""
    layer = hk.transform_with_state(lambda z, training: answer(K, D, **options)(z, training))
    params, state = layer.init(jax.random.key(0), MAP, True)
    planted = dict(zip(NAMES, (COUNTS, SUMS, CODES), strict=True))
    return layer, params, {module: own | planted for module, own in state.items()}


def _apply(answer, training, **options):
    layer, params, state = _layer(answer, **options)
    return layer.apply(params, state, jax.random.key(1), MAP, training)


def _forward(answer):
    seen = {}
    for said, training in (("when training", True), ("at evaluation", False)):
        out, _ = _apply(answer, training, **OPTIONS)
        seen |= {f"{name} {said}": out[name] for name in ("z_q", "codes", "indices") if name in out}
    return seen


def _start(answer):
    seen = {}
    for said, training in (("for training", True), ("for evaluation", False)):
        layer = hk.transform_with_state(lambda z, training: answer(K, D)(z, training))
        params, state = layer.init(jax.random.key(0), MAP, training)
        own = {name: value for module in state.values() for name, value in module.items()}
        nothing = jnp.zeros((0, D))
        codebook, sums, counts = (own.get(name, nothing) for name in ("codebook", "sums", "counts"))
        rows = jnp.round(codebook * 1e6) if codebook.ndim == 2 else nothing
        seen |= {
            f"trainable numbers, started {said}": sum(leaf.size for leaf in jax.tree.leaves(params)),
            f'shape of "codebook", started {said}': jnp.array(codebook.shape),
            f"distinct codes, started {said}": len(jnp.unique(rows, axis=0)),
            f'"counts", started {said}': counts,
            f'"sums" are the codebook, started {said}': sums.shape == codebook.shape
            and bool(jnp.all(sums == codebook)),
        }
    return seen


def _steps(answer):
    """The state after one step and after two, and with the default decay and epsilon."""
    seen = {}
    layer, params, state = _layer(answer, **OPTIONS)
    for step, z in ((1, MAP), (2, MAP[::-1] * 0.7)):
        _, state = layer.apply(params, state, jax.random.key(step), z, True)
        own = next(iter(state.values()))
        seen |= {f"{name} after step {step}": own[name] for name in NAMES}
    _, state = _apply(answer, True)
    return seen | {"codebook with the default decay and epsilon": next(iter(state.values()))["codebook"]}


def _rest(answer):
    _, state = _apply(answer, False)
    own = next(iter(state.values()))
    return {f"{name} after evaluation": own[name] for name in NAMES}


def _gradients(answer):
    layer, params, state = _layer(answer)
    seen = {}
    for name in ("z_q", "codes"):
        through = lambda z, name=name: layer.apply(params, state, jax.random.key(1), z, True)[0][name]  # noqa: E731
        seen[f"gradient of {name} to z_e"] = pull_back(through, MAP)[0]
    return seen


def ema_like(
    before=lambda z_e, codebook, after: codebook,
    updates=lambda is_training: is_training,
    z_q_from=quantizer.straight_through,
    codes_from=lambda codes, z_q: codes,
    **options,
):
    """Return a layer that differs from the right one in what is named: the misconceptions are variations of it."""
    start, keep = options.get("start", ref.repair_start), options.get("keep", NAMES)
    update, names = options.get("update", ref.update_codebook), options.get("names", NAMES)
    init = options.get("init", hk.initializers.RandomUniform(-0.05, 0.05))
    lazy, returns = options.get("lazy", False), options.get("returns", ("z_q", "codes", "indices"))

    class EMAVectorQuantizer(hk.Module):
        def __init__(self, num_codes, code_dim, decay=0.99, epsilon=1e-5, name=None):
            super().__init__(name=name)
            self.size, self.decay, self.epsilon = (num_codes, code_dim), decay, epsilon

        def __call__(self, z_e, is_training):
            get = options.get("get", hk.get_state)
            codebook = get(names[2], self.size, jnp.float32, init=init)
            indices = quantizer.nearest_code(z_e, codebook)
            if not lazy or is_training:
                counts, sums = (
                    hk.get_state(name, value.shape, init=lambda *_, value=value: value)
                    for name, value in zip(names, start(codebook), strict=False)
                )
                after = update(counts, sums, z_e, indices, self.decay, self.epsilon)
                if updates(is_training):
                    for name, own, value in zip(NAMES, names, after, strict=True):
                        if name in keep:
                            hk.set_state(own, value)
                codebook = before(z_e, codebook, after[2])
            indices = quantizer.nearest_code(z_e, codebook)
            codes = quantizer.look_up(indices, codebook)
            z_q = z_q_from(z_e, codes)
            out = {"z_q": z_q, "codes": codes_from(codes, z_q), "indices": indices}
            return {key: out[key] for key in returns}

    return EMAVectorQuantizer


class _AtConstruction(hk.Module):
    """State made when the layer is, one-hot products throughout, decay through optax's form of the average."""

    def __init__(self, num_codes, code_dim, decay=0.99, epsilon=1e-5, name=None):
        super().__init__(name=name)
        self.decay, self.epsilon = decay, epsilon
        self.codebook = hk.get_state("codebook", [num_codes, code_dim], init=hk.initializers.VarianceScaling())
        self.counts = hk.get_state("counts", [num_codes], init=jnp.ones)
        self.sums = hk.get_state("sums", [num_codes, code_dim], init=lambda *_: self.codebook)

    def __call__(self, z_e, is_training):
        distances = jnp.sum(self.codebook**2, -1) - 2 * z_e @ self.codebook.T
        one_hot = jax.nn.one_hot(jnp.argmin(distances, -1), len(self.codebook))
        codes = one_hot @ self.codebook
        if is_training:
            rows, z = one_hot.reshape(-1, len(self.codebook)), sg(z_e).reshape(-1, z_e.shape[-1])
            counts = self.counts + (1 - self.decay) * (rows.sum(0) - self.counts)
            sums = self.sums + (1 - self.decay) * (rows.T @ z - self.sums)
            n = counts.sum()
            hk.set_state("counts", counts)
            hk.set_state("sums", sums)
            smoothed = (counts + self.epsilon) / (n + counts.size * self.epsilon) * n
            hk.set_state("codebook", sums / smoothed[:, None])
        return dict(z_q=sg(codes) + (z_e - sg(z_e)), codes=codes, indices=jnp.argmax(one_hot, -1))


def _always_set(counts, sums, z_e, indices, decay, epsilon):
    return ref.update_codebook(counts, sums, sg(z_e), indices, decay, epsilon)


def _trained(name, shape, dtype, init):
    return hk.get_parameter(name, shape, dtype, init=init)


ema_vector_quantizer = Exercise(
    id="ema.EMAVectorQuantizer",
    reference=ref.EMAVectorQuantizer,
    arguments=("num_codes", "code_dim"),
    base=hk.Module,
    probes=(
        Probe("outputs", _forward),
        Probe("state at the start", _start),
        Probe("state after steps", _steps, points=2),
        Probe("nothing moves at evaluation", _rest),
        Probe("gradients", _gradients),
    ),
    misconceptions=(
        Misconception(
            "update before look-up",
            "When training, vectors are looked up in the codebook of after the update: a step ahead of evaluation.",
            "Look up with the codebook as it came; what you set is for the next batch.",
            ema_like(before=lambda z_e, codebook, after: after),
            also=(ema_like(before=lambda z_e, codebook, after: sg(after)),),
        ),
        Misconception(
            "updates at evaluation",
            "Looking at test images moves the codebook.",
            "What does is_training say?",
            ema_like(updates=lambda is_training: True),
        ),
        Misconception(
            "never updates",
            "The state is the same after a training step as before: nothing was set.",
            "hk.set_state keeps a value for the next call.",
            ema_like(updates=lambda is_training: False),
        ),
        Misconception(
            "is_training turned round",
            "The codebook rests in training and moves at evaluation.",
            "Which of the two should change the state?",
            ema_like(updates=lambda is_training: not is_training),
        ),
        Misconception(
            "only the codebook is kept",
            "The codebook is set and counts and sums are not: the next step starts from the old ones.",
            "All three belong to the state.",
            ema_like(keep=("codebook",)),
        ),
        Misconception(
            "the codebook is not kept",
            "Counts and sums are set, but the codebook stays where it was.",
            "All three belong to the state.",
            ema_like(keep=("counts", "sums")),
        ),
        Misconception(
            "the codebook is trained",
            "The codebook is a parameter, so an optimizer would move it as well.",
            "hk.get_state, not hk.get_parameter: nothing in this layer is trained.",
            ema_like(get=_trained, keep=("counts", "sums")),
        ),
        Misconception(
            "counts at zero",
            "The counts begin at 0 and the sums at the codebook: a code that nobody chooses explodes.",
            "You mended this start in the exercise above.",
            ema_like(start=lambda codebook: (jnp.zeros(len(codebook)), codebook)),
        ),
        Misconception(
            "both at zero",
            "Counts and sums begin at 0: a code that the first batch leaves out becomes 0.",
            "You mended this start in the exercise above.",
            ema_like(start=lambda codebook: (jnp.zeros(len(codebook)), jnp.zeros_like(codebook))),
        ),
        Misconception(
            "sums at zero",
            "The counts begin at 1 and the sums at 0: every code starts to move to the origin.",
            "Sums over counts are the codebook, from the start on.",
            ema_like(start=lambda codebook: (jnp.ones(len(codebook)), jnp.zeros_like(codebook))),
            also=(
                ema_like(
                    start=lambda codebook: (
                        jnp.ones(len(codebook)),
                        jax.random.uniform(jax.random.key(3), codebook.shape, minval=-0.05, maxval=0.05),
                    )
                ),
            ),
        ),
        Misconception(
            "state only when training",
            "Started for evaluation, counts and sums are missing: the state would change its tree at the first step.",
            "Ask for all of the state first, and only then whether this is training.",
            ema_like(lazy=True),
        ),
        Misconception(
            "all codes start alike",
            "Every code starts at the same place, so index 0 wins every tie and the others are dead from the start.",
            "Give hk.get_state an initializer that spreads the rows.",
            ema_like(init=jnp.zeros),
            also=(ema_like(init=jnp.ones),),
        ),
        Misconception(
            "state under other names",
            'The layer works, but its state is not called "counts", "sums" and "codebook".',
            "Pictures, revival and the check look for those names.",
            ema_like(names=("cluster_size", "ema_dw", "embeddings")),
            also=(ema_like(names=("N", "m", "e")), ema_like(names=("counts", "sums", "embeddings"))),
        ),
        Misconception(
            "no straight-through",
            "z_q is the code itself: the decoder's gradient ends here, and the encoder never learns.",
            "Pass z_e and the codes through straight_through.",
            ema_like(z_q_from=lambda z_e, codes: codes),
        ),
        Misconception(
            "codes after straight-through",
            "`codes` is the straight-through output: a commitment loss on it is worth something and pulls nobody.",
            "`codes` are the rows as looked up.",
            ema_like(codes_from=lambda codes, z_q: z_q),
        ),
        Misconception(
            "decay is a constant",
            "The layer does not listen to the decay it is given.",
            "Keep the argument in __init__ and hand it to update_codebook.",
            ema_like(update=lambda c, s, z, i, d, e: ref.update_codebook(c, s, z, i, 0.99, e)),
        ),
        Misconception(
            "epsilon is a constant",
            "The layer does not listen to the epsilon it is given.",
            "Keep the argument in __init__ and hand it to update_codebook.",
            ema_like(update=lambda c, s, z, i, d, e: ref.update_codebook(c, s, z, i, d, 1e-5)),
        ),
        Misconception(
            "indices left out",
            "The indices are missing from what you return.",
            'Return all three: "z_q", "codes" and "indices".',
            ema_like(returns=("z_q", "codes")),
        ),
    ),
    alternatives={
        "state made at construction": _AtConstruction,
        "update always computed, kept when training": ema_like(update=_always_set),
        "wider start": ema_like(init=hk.initializers.RandomUniform(-1.0, 1.0)),
        "normal start": ema_like(init=hk.initializers.RandomNormal()),
        "code by code": ema_like(update=ema._by_hand),
    },
    hints=(
        "Three pieces of state: codebook, counts, sums. hk.get_state takes a name, a shape, a dtype and init=.",
        "In order: get all state; nearest_code and look_up with it; when training, update_codebook, and set all three.",
        'A start from another array: `hk.get_state("sums", codebook.shape, init=lambda shape, dtype: codebook)`.',
    ),
)

# -- restart_dead_codes -----------------------------------------------------------------------------------------------

# Code 2 sits right on the threshold and lives; codes 0 and 3 are dead. Sums are not counts times codes.
_COUNTS = jnp.array([0.2, 4.0, 0.5, 0.0, 2.5, 0.9])
_FEW = MAP[0, 0]  # two vectors


def _restarted(answer, counts, z_e, threshold, seed=0):
    return answer(jax.random.key(seed), counts, SUMS, CODES, z_e, threshold)


def _living(answer):
    counts, sums, codebook = _restarted(answer, _COUNTS, MAP, 0.5)
    alive = jnp.array([1, 2, 4, 5])
    return {
        "counts of the living": counts[alive],
        "sums of the living": sums[alive],
        "codes of the living": codebook[alive],
    }


def _is_row(codes, z_e, within=0.0):
    """For each code, whether it is one of the vectors, exactly or nearly."""
    return jnp.any(jnp.all(jnp.abs(codes[:, None] - z_e.reshape(-1, D)) <= within, axis=-1), axis=1)


def _dead(answer):
    counts, sums, codebook = _restarted(answer, _COUNTS, MAP, 0.5)
    dead = jnp.array([0, 3])
    return {
        "counts of restarted codes": counts[dead],
        "restarted codes are near vectors of z_e": _is_row(codebook[dead], MAP, within=0.1),
        "restarted codes are vectors of z_e": _is_row(codebook[dead], MAP),
        "sums of restarted codes are their codes": jnp.all(sums[dead] == codebook[dead], axis=-1),
    }


def _choices(answer):
    places = [_restarted(answer, jnp.zeros(K), Z, 0.5, seed)[2] for seed in range(4)]
    return {
        "restarted codes are in several places": all(len(jnp.unique(place, axis=0)) > 1 for place in places),
        "with another key, other vectors": bool(jnp.any(places[0] != places[1]) | jnp.any(places[0] != places[2])),
        "every restarted code has a vector of its own": min(len(jnp.unique(place, axis=0)) for place in places) == K,
    }


def _compiled(answer):
    """In a compiled step; with more dead codes than vectors; and with none dead."""
    jitted = jax.jit(answer)
    counts, sums, codebook = _restarted(jitted, jnp.zeros(K), _FEW, 0.5)
    unchanged = _restarted(jitted, COUNTS, MAP, 0.01)
    return {
        "more dead codes than vectors: counts": counts,
        "more dead codes than vectors: all are vectors of z_e": _is_row(codebook, _FEW),
        "more dead codes than vectors: sums are the codes": bool(jnp.all(sums == codebook)),
        "nobody dead": unchanged[2],
    }


def _reviving(
    dead=lambda counts, threshold: counts < threshold,
    rows=lambda key, z, k: z[jax.random.permutation(key, len(z))[jnp.arange(k) % len(z)]],
    count=lambda counts, dead: jnp.where(dead, 1.0, counts),
    total=lambda sums, fresh, dead: jnp.where(dead[:, None], fresh, sums),
):
    """Return an answer that differs from the right one in what is named."""

    def answer(key, counts, sums, codebook, z_e, threshold):
        gone = dead(counts, threshold)
        fresh = rows(key, z_e.reshape(-1, z_e.shape[-1]), len(codebook))
        after = jnp.where(gone[:, None], fresh, codebook)
        return count(counts, gone), total(sums, fresh, gone), after

    return answer


def _by_sorting(key, counts, sums, codebook, z_e, threshold):
    """Dead codes first, each with the next of the shuffled vectors, written with scatter."""
    z = jax.random.permutation(key, z_e.reshape(-1, z_e.shape[-1]))
    order = jnp.argsort(counts >= threshold)
    fresh = jnp.zeros_like(codebook).at[order].set(z[jnp.arange(len(codebook)) % len(z)])
    dead = (counts < threshold)[:, None]
    return (
        jnp.where(dead[:, 0], jnp.ones_like(counts), counts),
        dead * fresh + ~dead * sums,
        jax.lax.select(jnp.broadcast_to(dead, fresh.shape), fresh, codebook),
    )


restart_dead_codes = Exercise(
    id="ema.restart_dead_codes",
    reference=ref.restart_dead_codes,
    arguments=("key", "counts", "sums", "codebook", "z_e", "threshold"),
    probes=(
        Probe("the living", _living),
        Probe("the dead", _dead),
        Probe("who goes where", _choices),
        Probe("compiled", _compiled),
    ),
    misconceptions=(
        Misconception(
            "counts not reset",
            "A restarted code keeps its count, so it is dead again at the next step and never comes to rest.",
            "It begins anew: as if it stood for one vector.",
            _reviving(count=lambda counts, dead: counts),
        ),
        Misconception(
            "sums not reset",
            "A restarted code keeps its old sums, so the next update throws it back to where it was.",
            "Sums over counts should be the code, from its first moment on.",
            _reviving(total=lambda sums, fresh, dead: sums),
        ),
        Misconception(
            "only the codebook changes",
            "The codes move, but counts and sums still say what they said: the next update undoes it all.",
            "A running mean begins anew with its count and its sum.",
            _reviving(count=lambda counts, dead: counts, total=lambda sums, fresh, dead: sums),
        ),
        Misconception(
            "one place for all",
            "All dead codes are put on one and the same vector; of codes on one place, only the first is ever chosen.",
            "Each needs a vector of its own.",
            _reviving(rows=lambda key, z, k: jnp.tile(z[jax.random.randint(key, (), 0, len(z))], (k, 1))),
            also=(_reviving(rows=lambda key, z, k: jnp.tile(z[0], (k, 1))),),
        ),
        Misconception(
            "drawn with replacement",
            "Two codes can be put on the same vector: rows are drawn one by one, without regard to each other.",
            "Shuffle the rows and deal them out, or draw without replacement.",
            _reviving(rows=lambda key, z, k: z[jax.random.randint(key, (k,), 0, len(z))]),
        ),
        Misconception(
            "always the same vectors",
            "The key is not used: the first vectors of the batch are taken, which are the corners of the first image.",
            "Let the key choose the rows.",
            _reviving(rows=lambda key, z, k: z[jnp.arange(k) % len(z)]),
            also=(
                _reviving(rows=lambda key, z, k: jax.random.permutation(jax.random.key(0), z)[jnp.arange(k) % len(z)]),
            ),
        ),
        Misconception(
            "noise in place of vectors",
            "Dead codes are put on random points; few vectors live there, and they will die again.",
            "Put them where the encoder's outputs are.",
            _reviving(rows=lambda key, z, k: jax.random.normal(key, (k, z.shape[1]))),
            also=(
                _reviving(rows=lambda key, z, k: jax.random.uniform(key, (k, z.shape[1]), minval=-0.05, maxval=0.05)),
            ),
        ),
        Misconception(
            "everybody restarts",
            "Living codes are moved as well, and all they had learned is lost.",
            "Only codes whose count is below the threshold.",
            _reviving(dead=lambda counts, threshold: jnp.ones_like(counts, bool)),
        ),
        Misconception(
            "the living restart",
            "The comparison is the other way round: the codes in use are moved, and the dead stay.",
            "Dead is what is below the threshold.",
            _reviving(dead=lambda counts, threshold: counts >= threshold),
            also=(_reviving(dead=lambda counts, threshold: counts > threshold),),
        ),
        Misconception(
            "dead at the threshold",
            "A code whose count is exactly the threshold is restarted; only those below it are dead.",
            "Below, or at most?",
            _reviving(dead=lambda counts, threshold: counts <= threshold),
        ),
        Misconception(
            "counts reset to zero",
            "A restarted code has count 0: its sum is divided by nearly nothing, and it is dead again at once.",
            "As if it stood for one vector.",
            _reviving(count=lambda counts, dead: jnp.where(dead, 0.0, counts)),
        ),
        Misconception(
            "every count reset",
            "The counts of the living are set to 1 as well.",
            "Only what belongs to dead codes changes.",
            _reviving(count=lambda counts, dead: jnp.ones_like(counts)),
        ),
        Misconception(
            "every sum reset",
            "The sums of the living change as well.",
            "Only what belongs to dead codes changes.",
            _reviving(total=lambda sums, fresh, dead: fresh),
        ),
        Misconception(
            "near a vector, not on it",
            "Noise is added to the vectors; the contract here is a row of z_e as it is.",
            "Distinct rows need no noise to be told apart.",
            _reviving(
                rows=lambda key, z, k: (
                    z[jax.random.permutation(key, len(z))[jnp.arange(k) % len(z)]]
                    + 0.01 * jax.random.normal(key, (k, z.shape[1]))
                )
            ),
        ),
    ),
    alternatives={
        "permuted rows": _reviving(),
        "sorting and scatter": _by_sorting,
        "choice without replacement, repeated": _reviving(
            rows=lambda key, z, k: jnp.tile(
                jax.random.choice(key, z, (min(k, len(z)),), replace=False), (-(-k // len(z)), 1)
            )[:k]
        ),
        "largest of random numbers": _reviving(
            rows=lambda key, z, k: z[jnp.argsort(-jax.random.uniform(key, (len(z),)))[jnp.arange(k) % len(z)]]
        ),
        "jitted": jax.jit(ref.restart_dead_codes),
    },
    hints=(
        "Three steps: who is dead; one vector for each code, chosen by the key; jnp.where puts them in.",
        "`jax.random.permutation(key, len(vectors))` shuffles row numbers; take as many as there are codes, and with "
        "`% len(vectors)` there are always enough.",
        "jnp.where(dead[:, None], fresh, codebook); likewise the sums, and jnp.where(dead, 1.0, counts).",
    ),
)

EXERCISES = (
    ema.batch_statistics,
    ema.smooth_counts,
    ema.update_codebook,
    ema.repair_start,
    ema_vector_quantizer,
    restart_dead_codes,
)

QUESTIONS = (
    Question(
        id="ema.q_decay",
        asks="You lower the decay from 0.99 to 0.5. What changes?",
        choices={
            "a": (
                "Codes follow the encoder faster, and jump about with every batch.",
                "Half of what a code is comes from the last batch alone. While the encoder moves fast that helps; "
                "later it is noise. 0.99 averages over about a hundred batches.",
            ),
            "b": (
                "The codebook gets a larger learning rate, and the loss may diverge.",
                "A running mean has no loss and cannot overshoot: it stays among the vectors it averages.",
            ),
            "c": (
                "Codes die less often, since the past counts less.",
                "The opposite: a count fades by half at each batch without a vector, so a rare code is dead sooner.",
            ),
        },
        best="a",
    ),
    Question(
        id="ema.q_debias",
        asks="An average that starts at 0 is often debiased: divided by 1 - decay^t after t steps. Counts and sums "
        "both start at 0, and both are debiased. What becomes of the codebook?",
        choices={
            "a": (
                "It is larger in the first steps than without debiasing.",
                "Each of the two is; their ratio is not.",
            ),
            "b": (
                "Nothing, but for epsilon: the same factor stands above and below the fraction line.",
                "So debiasing cannot tell where a code is that no vector has chosen: 0 over 0 stays 0 over 0. A "
                "consistent start can.",
            ),
            "c": (
                "Codes that nobody chose stay where they were.",
                "They had no weight in the averages to begin with, so nothing remembers where they were.",
            ),
        },
        best="b",
    ),
    Question(
        id="ema.q_one_latent",
        asks="An image is one of 64 codes, and every code has its picture. You draw 10,000 images from random codes. "
        "How many different ones do you get?",
        choices={
            "a": (
                "About 10,000: the decoder is a deep network and interpolates.",
                "It never sees anything between two codes: its input is one of 64 rows.",
            ),
            "b": (
                "At most 64, the same that reconstructions are made of.",
                "Random images and reconstructions come from one set. Many images need many codes side by side: K to "
                "the power of N code maps.",
            ),
            "c": (
                "As many as there were in training.",
                "Training images that share a code share one reconstruction.",
            ),
        },
        best="b",
    ),
)
