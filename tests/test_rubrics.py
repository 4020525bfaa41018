"""Every free-text question has a model answer and a rubric, which instructors see, and students do not."""

import re
from copy import deepcopy
from functools import partial

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_authoring import ROOT, SOLUTIONS, STUDENTS, copy, each_lesson, spoil  # noqa: F401 - `copy` is a fixture

from vqtutor import authoring
from vqtutor.lessons import FREE_TEXTS, LESSONS
from vqtutor.lessons.answers import answer_of

RUBRICS = authoring.rubrics(ROOT)


def lines(id):
    """Return what gives a rubric away: its lines, but for the headings that all have."""
    return [line for line in "\n".join(RUBRICS[id]).splitlines() if len(line) > 40]


def test_every_free_text_question_has_one():
    assert list(RUBRICS) == list(FREE_TEXTS)
    assert {id.split(".")[0] for id in FREE_TEXTS} == {lesson.slug for lesson in LESSONS[1:]}
    for id, (model, rubric) in RUBRICS.items():
        assert len(model) > 100 and len(lines(id)) >= 8
        assert all(
            f"**{part}.**" in rubric for part in ("What earns points", "What earns a part", "What earns nothing")
        )


def test_no_part_of_one_is_in_what_students_get():
    """Students install the package, and get the notebooks."""
    texts = [path.read_text() for kind in ("*.py", "*.json", "*.html") for path in (ROOT / "vqtutor").rglob(kind)]
    texts += [path.read_text() for path in (ROOT / "notebooks").glob("*.ipynb")]
    everything = "\n".join(texts)
    found = [line for id in RUBRICS for line in lines(id) if line in everything]
    assert found == [] and "Write your answer here" in everything
    assert re.search(r'packages = \["vqtutor"\]', (ROOT / "pyproject.toml").read_text())


@each_lesson
def test_nbgrader_takes_them_out_as_well(name):
    clearsolutions = pytest.importorskip("nbgrader.preprocessors.clearsolutions")
    made, _ = clearsolutions.ClearSolutions(code_stub={"python": "..."}).preprocess(deepcopy(SOLUTIONS[name]), {})
    text = "\n".join(cell.source for cell in made.cells)
    assert not [line for id in RUBRICS for line in lines(id) if line in text]


@each_lesson
def test_the_answers_cell_is_open(name):
    cells = [cell for cell in STUDENTS[name].cells if authoring.about(cell).get("role") == "free_text"]
    assert all(cell.source == authoring.NO_TEXT for cell in cells)


def change(old, new):
    return lambda cells: cells["free-text"].update(source=cells["free-text"].source.replace(old, new, 1))


@pytest.mark.parametrize(
    "spoiled, sentence",
    {
        "points": (change("- 1 point: ", "- 2 points: "), "must give away 2 points"),
        "no part": (change("**What earns a part.**", "Parts:"), "a part and nothing"),
        "empty": (lambda cells: cells["free-text"].update(source=authoring.NO_TEXT), "must hold a model answer"),
        "worth": (lambda cells: cells["free-text"].metadata["vqtutor"].update(points=3), "must have 2 points"),
        "unknown": (lambda cells: cells["free-text"].metadata["vqtutor"].update(question="a.b"), "does not exist"),
        "asks": (lambda cells: cells["free-text-header"].update(source="### In your own words"), "must show: Two enc"),
        "leak": (lambda cells: cells["next"].update(source=cells["free-text"].source), "gives an answer away: quant"),
    }.values(),
)
def test_faults_are_named_and_leaks_noticed(spoiled, sentence, copy):  # noqa: F811
    spoil(copy, "01_quantizer", spoiled)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        authoring.release_all(copy)


def test_what_lesson_02_says_of_the_broken_layer_is_so():
    """The reconstruction falls, by the decoder; the whole loss grows; codes stay, and vectors are driven away."""
    (cell,) = [cell for cell in SOLUTIONS["02_losses"].cells if cell.id == "broken"]
    space = {"jax": jax, "jnp": jnp}
    for id in ("quantizer.squared_distances", "quantizer.nearest_code", "quantizer.look_up"):
        exec(answer_of(id), space)
    exec(cell.source.split("\n\n\n")[0], space)
    random = np.random.default_rng(0)
    angle, radius = random.uniform(0, 2 * np.pi, 400), 1 + 0.1 * random.normal(size=400)
    vectors = jnp.asarray(np.stack([3 * radius * np.cos(angle), 1.2 * radius * np.sin(angle)], 1), jnp.float32)

    def toy(x):
        z_e = hk.Linear(2, name="encoder")(x)
        codebook = hk.get_parameter("codebook", [8, 2], init=hk.initializers.RandomUniform(-0.05, 0.05))
        z_q, vq = space["broken_quantizer"](z_e, codebook, 0.25)
        reconstruction = jnp.mean((x - hk.Linear(2, name="decoder")(z_q)) ** 2) / vectors.var()
        return reconstruction + vq, (reconstruction, vq, codebook)

    network, optimizer = hk.without_apply_rng(hk.transform(toy)), optax.adam(0.02)

    @partial(jax.jit, static_argnums=2)
    def step(params, state, frozen):
        (loss, watched), gradients = jax.value_and_grad(network.apply, has_aux=True)(params, vectors)
        gradients |= {name: jax.tree.map(jnp.zeros_like, gradients[name]) for name in frozen}
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, loss, watched

    def train(*frozen):
        params = network.init(jax.random.key(1), vectors)
        state, seen = optimizer.init(params), []
        for _ in range(200):
            params, state, loss, watched = step(params, state, frozen)
            seen.append((loss, *watched))
        return seen[0], seen[-1]

    (loss, reconstruction, vq, codes), (loss_after, reconstruction_after, vq_after, codes_after) = train()
    assert reconstruction_after < 0.9 * reconstruction and loss_after > 10 * loss and vq_after > 10 * vq
    assert (codes == codes_after).all()
    assert train("decoder")[1][1] > 0.95 * reconstruction  # without the decoder it does not fall,
    assert train("encoder")[1][1] < 0.9 * reconstruction  # and without the encoder it does
