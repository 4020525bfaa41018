"""What goes from one lesson to the next: answers that passed, as the student wrote them."""

import json
import os

import nbformat
import pytest

from vqtutor import authoring

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
    from vqtutor.models import quantizer

    assert vqtutor.recall("quantizer.nearest_code") is quantizer.nearest_code
    assert "the course's own stands in" in capsys.readouterr().out


def test_what_is_written_in_a_file_is_not_kept(monkeypatch, tmp_path):
    import vqtutor

    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "progress.json"))
    vqtutor.check("quantizer.look_up", lambda indices, codebook: codebook[indices])
    assert "source" not in json.loads((tmp_path / "progress.json").read_text())["quantizer.look_up"]
    assert os.path.exists(__file__)
