"""What goes from one lesson to the next: answers that passed, as the student wrote them."""

import functools
import json
import re
import unittest.mock

import jax
import nbformat
import numpy as np
import pytest

from vqtutor import authoring
from vqtutor.lessons import EXERCISES

FIRST = """
import haiku as hk, jax, jax.numpy as jnp, vqtutor
"""
NEAREST = """
MARK = "mine"  # a cell may hold more than its answer
def nearest_code(z, codebook):
    return jnp.argmin(((z[..., None, :] - codebook) ** 2).sum(-1), axis=-1)
nearest_code.mark = MARK
"""
LAYER = """
class VectorQuantizer(hk.Module):
    mark = "mine"
    def __init__(self, num_codes, code_dim):
        super().__init__()
        self.shape = num_codes, code_dim
    def __call__(self, z_e):
        codebook = hk.get_parameter("codebook", self.shape, init=hk.initializers.RandomNormal())
        indices = nearest_code(z_e, codebook)
        codes = codebook[indices]
        return {"z_q": z_e + jax.lax.stop_gradient(codes - z_e), "codes": codes, "indices": indices}
"""


def notebook(*cells):
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


def run(tmp_path, *cells):
    environment = {"VQTUTOR_PROGRESS": str(tmp_path / "progress.json")}
    done = authoring.execute(notebook(*cells), environment, tmp_path)
    return "".join(output.get("text", "") for output in done.cells[-1].outputs)


def check(name):
    return f'{name} = vqtutor.check("quantizer.{name}", {name})'


RECALL = 'import vqtutor\nanswer = vqtutor.recall("quantizer.{0}")\nprint(getattr(answer, "mark", "the course\'s"))'


def test_an_answer_that_passed_is_there_in_the_next_lesson(tmp_path):
    run(tmp_path, FIRST, NEAREST, check("nearest_code"), LAYER, check("VectorQuantizer"))
    assert "mine" in run(tmp_path, RECALL.format("nearest_code"))
    assert "mine" in run(tmp_path, RECALL.format("VectorQuantizer"))
    assert "the course's" in run(tmp_path, RECALL.format("look_up"))


@pytest.mark.parametrize("source", ["1 +", "def nearest_code(z, c): return undefined", "raise SystemError('x')"])
def test_an_answer_that_does_not_run_by_itself_is_stood_in_for(source, tmp_path, monkeypatch, capsys):
    import vqtutor

    (tmp_path / "progress.json").write_text(json.dumps({"quantizer.nearest_code": {"source": source}}))
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "progress.json"))
    assert vqtutor.recall("quantizer.nearest_code") is EXERCISES["quantizer.nearest_code"].reference
    assert "the course's own is used" in capsys.readouterr().out


def test_what_is_written_in_a_file_is_not_kept(monkeypatch, tmp_path):
    import vqtutor

    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "progress.json"))
    vqtutor.check("quantizer.look_up", lambda indices, codebook: codebook[indices])
    assert "source" not in json.loads((tmp_path / "progress.json").read_text())["quantizer.look_up"]


# -- an earlier answer that is wrong, or open, is not held against a later one -----------------------------------------

WRONG_DISTANCES = {
    "wrong": "def squared_distances(z, codebook):\n    return z @ codebook.T",
    "turned round": "def squared_distances(z, codebook):\n    return -jnp.sum((z[:, None] - codebook) ** 2, -1)",
    "crashing": "def squared_distances(z, codebook):\n    raise ValueError('no')",
    "open": "def squared_distances(z, codebook):\n    ...",
    "jitted": "@jax.jit\ndef squared_distances(z, codebook):\n    return z @ codebook.T",
}
USES = {
    "plain": "def nearest_code(z, codebook):\n"
    "    flat = z.reshape(-1, z.shape[-1])\n"
    "    return squared_distances(flat, codebook).argmin(1).reshape(z.shape[:-1]).astype(jnp.int32)",
    "through a helper": "def flat_nearest(z, codebook):\n    return squared_distances(z, codebook).argmin(1)\n"
    "def nearest_code(z, codebook):\n"
    "    return flat_nearest(z.reshape(-1, z.shape[-1]), codebook).reshape(z.shape[:-1])",
    "through another name": "distances = squared_distances\n"
    "def nearest_code(z, codebook):\n"
    "    return distances(z.reshape(-1, z.shape[-1]), codebook).argmin(1).reshape(z.shape[:-1])",
    "through a jitted copy": "distances = jax.jit(squared_distances)\n"
    "def nearest_code(z, codebook):\n"
    "    return distances(z.reshape(-1, z.shape[-1]), codebook).argmin(1).reshape(z.shape[:-1])",
    "jitted": "@jax.jit\ndef nearest_code(z, codebook):\n"
    "    flat = z.reshape(-1, z.shape[-1])\n"
    "    return jnp.argmin(squared_distances(flat, codebook), 1).reshape(z.shape[:-1])",
    "an object": "class Nearest:\n"
    "    def __call__(self, z, codebook):\n"
    "        flat = z.reshape(-1, z.shape[-1])\n"
    "        return squared_distances(flat, codebook).argmin(1).reshape(z.shape[:-1])\n"
    "nearest_code = Nearest()",
}


def cell(space, source):
    exec(compile("import haiku as hk, jax, jax.numpy as jnp, numpy as np\n" + source, "<a cell>", "exec"), space)


@pytest.fixture
def tutor(tmp_path, monkeypatch):
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "progress.json"))
    import vqtutor
    from vqtutor import tutor

    monkeypatch.setattr(tutor, "_right_answers", [])
    return vqtutor


@pytest.mark.parametrize("uses", USES)
@pytest.mark.parametrize("wrong", WRONG_DISTANCES)
def test_a_wrong_answer_above_is_not_held_against_a_right_one(wrong, uses, tutor):
    space = {"__name__": "__main__"}
    cell(space, WRONG_DISTANCES[wrong])
    kept = space["squared_distances"]
    assert not tutor.judge("quantizer.squared_distances", kept).passed
    cell(space, USES[uses])
    verdict = tutor.judge("quantizer.nearest_code", space["nearest_code"])
    assert verdict.passed, str(verdict)
    assert space["squared_distances"] is kept  # the notebook is left as it was
    if uses != "through a helper":
        assert "the course's own squared_distances, because yours has not passed" in str(verdict)


def test_a_wrong_answer_above_hides_no_wrong_answer_below(tutor):
    space = {"__name__": "__main__"}
    cell(space, WRONG_DISTANCES["turned round"])  # with argmax two slips cancel
    cell(space, USES["plain"].replace("argmin", "argmax"))
    assert not tutor.judge("quantizer.nearest_code", space["nearest_code"]).passed


def test_an_earlier_lessons_name_may_be_a_helper_of_ones_own_or_a_wrong_answer(tutor):
    own = "def look_up(codebook, indices):  # the other way round, and used so\n    return codebook[indices]\n"
    uses = "def repair_quantizer(z_e, codebook, beta):\n    codes = look_up({})\n"
    uses += "    held = jax.lax.stop_gradient\n    loss = jnp.mean((held(z_e) - codes) ** 2)\n"
    uses += "    loss += beta * jnp.mean((z_e - held(codes)) ** 2)\n    return z_e + held(codes - z_e), loss\n"
    nearest = "((z_e[..., None, :] - codebook) ** 2).sum(-1).argmin(-1)"
    for source in (
        own + uses.format(f"codebook, {nearest}"),
        own.replace("codebook[indices]", "codebook[indices - 1]") + uses.format(f"{nearest}, codebook"),
    ):
        space = {"__name__": "__main__"}
        cell(space, source)
        verdict = tutor.judge("losses.repair_quantizer", space["repair_quantizer"])
        assert verdict.passed, str(verdict)


class ReturnsItself:
    def __getattr__(self, name):
        return self


class Raises:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __call__(self, z, codebook):
        return ((z[..., None, :] - codebook) ** 2).sum(-1).argmin(-1)


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (ReturnsItself(), False),
        (Raises(), True),
        (Raises().__call__, True),
        (functools.partial(Raises()), True),
        (unittest.mock.MagicMock(), False),
        (jax.jit(functools.partial(lambda z, c, k: ((z[..., None, :] - c) ** 2).sum(-1).argmin(-1), k=1)), True),
        (len, False),
        (np, False),
        (..., False),
    ],
    ids=["itself", "raises", "method", "partial", "mock", "jit of partial", "builtin", "module", "ellipsis"],
)
def test_whatever_is_handed_in_gets_a_verdict(answer, passes, tutor):
    assert tutor.judge("nearest_code", answer).passed == passes


def test_an_answer_that_passed_is_what_later_ones_are_built_on(tutor):
    space = {"__name__": "__main__", "calls": []}
    cell(
        space,
        "def squared_distances(z, codebook):\n"
        "    calls.append(1)\n"
        "    return (z**2).sum(1, keepdims=True) - 2 * z @ codebook.T + (codebook**2).sum(1)",
    )
    assert tutor.judge("quantizer.squared_distances", space["squared_distances"]).passed
    cell(space, USES["plain"])
    space["calls"].clear()
    assert tutor.judge("quantizer.nearest_code", space["nearest_code"]).passed and space["calls"]


@pytest.mark.parametrize("name", ["nearest_code", "quantizer.nearest_code"])
def test_an_exercise_is_found_by_its_name_alone(name, tutor, capsys):
    tutor.hint(name)
    assert "quantizer.nearest_code - hint 1" in capsys.readouterr().out
    with pytest.raises(KeyError, match="nearest_code"):
        tutor.hint("nearest")


HINT = 'vqtutor.hint("look_up")'


def hints_shown(tmp_path, *cells, restart=1):
    """Run the cells as one notebook, `restart` times in a fresh kernel, and return the hints that came."""
    environment = {"VQTUTOR_PROGRESS": str(tmp_path / "progress.json")}
    shown = []
    for _ in range(restart):
        done = authoring.execute(notebook(FIRST, *cells), environment, tmp_path, allow_errors=True)
        texts = [o.data.get("text/plain", "") for c in done.cells for o in c.outputs if "data" in o]
        shown += [re.search(r"hint (\d) of", text)[1] for text in texts if "hint " in text and " of " in text]
    return shown


def test_hints_are_climbed_by_asking_and_not_by_running_all(tmp_path):
    assert hints_shown(tmp_path, HINT, "1 + 1", restart=2) == ["1", "1"]  # Run All, twice
    assert hints_shown(tmp_path, "1 + 1", HINT, "1 + 1", HINT, "1 + 1", HINT) == ["1", "1", "1"]
    assert hints_shown(tmp_path, HINT, HINT, HINT) == ["1", "2", "3"]


def test_another_try_is_worth_another_hint(tmp_path):
    wrong = "def look_up(i, c): return c[i - {}]\nvqtutor.check('quantizer.look_up', look_up)"
    assert hints_shown(tmp_path, wrong.format(1), HINT, wrong.format(2), HINT) == ["1", "2"]
    assert hints_shown(tmp_path, wrong.format(2), HINT) == ["2"]


@pytest.mark.parametrize("answer", ["def look_up(i, c): ...", "def look_up(i, c): return c[i - 1]"])
def test_nbgraders_validate_fails_on_whatever_has_not_passed(answer, tmp_path):
    environment = {"VQTUTOR_PROGRESS": str(tmp_path / "progress.json"), "NBGRADER_EXECUTION": "validate"}
    done = authoring.execute(notebook(FIRST, answer, check("look_up")), environment, tmp_path, allow_errors=True)
    assert [out.ename for out in done.cells[-1].outputs if out.output_type == "error"] == ["CheckFailed"]
    right = "def look_up(i, c): return c[i]"
    done = authoring.execute(notebook(FIRST, right, check("look_up")), environment, tmp_path, allow_errors=True)
    assert all(output.output_type != "error" for output in done.cells[-1].outputs)


def test_a_guess_is_put_beside_the_result(tutor, capsys):
    tutor.compare("codes used", 20, 10)
    assert "You said 20; it is 10." in (shown := capsys.readouterr().out) and "too high" in shown
    tutor.compare("codes used", 1.0, 10)
    assert "too low" in capsys.readouterr().out
    tutor.compare("codes used", 9.5, 10)
    assert "close" in capsys.readouterr().out
    tutor.compare("codes used", ..., 10)
    assert "It is 10." in (shown := capsys.readouterr().out) and "no guess" in shown
    tutor.compare("a difference", 0.5, 0)  # nothing to divide by
    assert "too high" in capsys.readouterr().out
