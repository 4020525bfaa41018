"""Many answers in one module: each does there what it did in its notebook, and what is called passed does pass."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import made_class
import nbformat
import pytest
import test_source
from hypothesis import given, settings
from hypothesis import strategies as st

from vqtutor import mine
from vqtutor.checking import progress
from vqtutor.cli import main
from vqtutor.lessons import EXERCISES
from vqtutor.lessons.answers import answer_of, blank, cell_of
from vqtutor.mine.compose import Module
from vqtutor.mine.gather import Part, from_notebooks
from vqtutor.mine.rename import renamed
from vqtutor.source import Cell, cut

ROOT = Path(__file__).parents[1]


def cut_out(cells, name):
    code = [Cell(text) for text in cells]
    cell = next(one for one in reversed(code) if one.defining(name))
    return cut(code, cell, name, (), as_written=True)[0]


def composed(parts):
    """Return the text of a module of {name: (lesson, source)}."""
    module = Module(set(parts))
    texts = [module.add(name, lesson, source) for name, (lesson, source) in parts.items()]
    return module.head() + "\n\n" + "\n\n\n".join(filter(None, texts)) + "\n"


def run(text):
    space = {"__name__": "my_vqvae"}
    exec(compile(text, "my_vqvae", "exec"), space)
    return space


def ruff(file):
    found = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", str(file)], cwd=ROOT, capture_output=True
    )
    return found.stdout.decode()


def test_all_forms_of_helpers_live_in_one_module():
    """They call their helpers, constants and tables the same, and mean different things by them."""
    parts = {}
    for i, cells in enumerate(test_source.FORMS.values()):
        cells = [re.sub(r"\banswer\b", f"answer{i}", text) for text in cells]
        parts[f"answer{i}"] = f"lesson{i // 3}", cut_out(cells, f"answer{i}")
    space = run(composed(parts))
    for name, form in zip(parts, test_source.FORMS, strict=True):
        assert space[name]() == 42, form


def test_what_two_answers_share_is_there_once_and_what_differs_has_a_name_of_its_lesson():
    helper, other = "# doubles\ndef scale(x):\n    return 2 * x", "def scale(x):\n    return 3 * x"
    parts = {
        "one": ("first", cut_out([helper, "def one(x): return scale(x)"], "one")),
        "two": ("first", cut_out([helper, "def two(x): return scale(x) + 1"], "two")),
        "three": ("second", cut_out([other, "def three(x, scale=scale): return scale(x)"], "three")),
        "four": ("second", cut_out([other, "def four(x): return scale(x) + 1"], "four")),
    }
    text = composed(parts)
    assert text.count("# doubles") == text.count("def scale(x)") == text.count("def second_scale(x)") == 1
    space = run(text)
    assert [space[name](5) for name in parts] == [10, 11, 15, 16]
    assert "scale=second_scale" in text  # the parameter keeps its name


def test_one_import_under_two_names_and_two_imports_under_one():
    parts = {
        "one": ("a", "import numpy as onp\n\ndef one(): return onp.float32(1)"),
        "two": ("b", "import jax.numpy as np\nfrom math import *\n\ndef two(): return np.ones(1), floor(pi)"),
        "three": ("c", "from os import path\n\ndef three(): return path.sep"),
        "four": ("d", "from sys import path\n\ndef four(): return path[:0], np.e"),
    }
    text = composed(parts)
    assert text.startswith(
        "from math import floor, pi\nfrom os import path\nfrom sys import path as d_path\n\n"
        "import jax.numpy as jnp\nimport numpy as np\n"
    )
    space = run(text)
    assert space["two"]()[1] == 3 and space["four"]()[0] == [] and space["one"]() == 1 and space["three"]() == os.sep


def test_a_helper_called_like_a_builtin_or_a_later_exercise_takes_nothing_away():
    parts = {
        "one": ("a", "def sum(x): return 7\ndef gate(x): return 1\ndef one(x): return sum(x) + gate(x)"),
        "two": ("b", "def two(x): return sum(x)"),
        "gate": ("c", "def gate(x): return 'the exercise'"),
    }
    space = run(composed(parts))
    assert (space["one"]([1]), space["two"]([1, 2]), space["gate"](0)) == (8, 3, "the exercise")


RENAMED = {
    "x = n": "x = m",
    "def f(n): return n": "def f(n): return n",
    "def f(a=n): return a": "def f(a=m): return a",
    "def f():\n    n = 1\n    return n": "def f():\n    n = 1\n    return n",
    "def f():\n    return n  # n, ä": "def f():\n    return m  # n, ä",
    "def f():\n    global n\n    n = 1": "def f():\n    global m\n    m = 1",
    "def n(x): return n(x - 1)": "def m(x): return m(x - 1)",
    "@n\nclass n(n):\n    'n'\n    def n(self): return n.n": "@m\nclass m(m):\n    'n'\n    def n(self): return m.n",
    "class C:\n    n = 1\n    def f(self): return n": "class C:\n    n = 1\n    def f(self): return m",
    "[n for n in n]": "[n for n in m]",
    "[ä for ä in n if n]": "[ä for ä in m if m]",
    "f(n=n)": "f(n=m)",
    "lambda n: n, n": "lambda n: n, m",
    "def f():\n    import n\n    return n": "def f():\n    import n\n    return n",
    "def f():\n    try: n()\n    except E as e: e.n": "def f():\n    try: m()\n    except E as e: e.n",
    "f'{n} n {n!r:>{n}n} {{n}} {x.n:n}' 'n' f'ä{n + 1}'": "f'{m} n {m!r:>{m}n} {{n}} {x.n:n}' 'n' f'ä{m + 1}'",
    "f'''n\n{n\n}''', n": "f'''n\n{m\n}''', m",
    "def f():\n    def g(): return n\n    return g": "def f():\n    def g(): return m\n    return g",
    "def f():\n    if (n := 1): return [n for _ in n]": "def f():\n    if (n := 1): return [n for _ in n]",
}


@pytest.mark.parametrize("text", RENAMED)
def test_a_global_gets_another_name_and_what_is_called_the_same_keeps_its_own(text):
    assert renamed(text, {"n": "m"}) == RENAMED[text]


_TERMS = ("a", "b", "x", "1")
_SIGNATURES = ("x", "x, a=a", "x, b=1")


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 4, *[st.sampled_from(_SIGNATURES)] * 2), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_tangle_of_helpers_means_in_the_module_what_it_meant_in_its_notebook(drawn):
    """Answers of several notebooks, over helpers of the same few names that are drawn at random."""
    parts, expected = {}, {}
    for number, (a, b, one, two, f, g) in enumerate(drawn):
        cells = [
            f"a, b = {a}, {b}",
            f"def f({f}): return {_TERMS[one]} + {_TERMS[a]}",
            f"def g({g}): return {_TERMS[two]} * f(x)",
            f"def answer{number}(x): return {('f(x)', 'g(x) + a', 'b * g(x)', 'f(x) * g(x)')[b]}",
        ]
        exec("\n".join(cells), space := {})
        expected[f"answer{number}"] = space[f"answer{number}"](10)
        parts[f"answer{number}"] = f"lesson{number}", cut_out(cells, f"answer{number}")
    space = run(composed(parts))
    assert {name: space[name](10) for name in parts} == expected


# -- the whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A student's folder: lesson 01 with right answers of odd forms, a wrong one, one that prints, one still open."""
    folder = tmp_path_factory.mktemp("student")
    cells = {id: answer_of(id) for id in EXERCISES}
    cells["start.to_unit_range"] = "!pip list\n%time\nimport numpy\nK = 255.0\n" + (
        "# my first answer\ndef to_unit_range(pixels):\n"
        "    return (numpy.asarray(pixels) / K).astype('float32')  # in NumPy\nprint(to_unit_range(numpy.ones(2)))"
    )
    cells["quantizer.squared_distances"] = (
        "K = 2\ndef _cross(z, c):\n    return K * z @ c.T\n\n"
        "@jax.jit\ndef squared_distances(z, codebook):\n"
        "    l = (z ** 2).sum(1, keepdims=True); c = (codebook ** 2).sum(1)\n    return l + c - _cross(z, codebook)"
    )
    cells["quantizer.look_up"] = "def look_up(indices, codebook):\n    return codebook[indices] + 1"
    cells["quantizer.straight_through"] = blank(cell_of("quantizer.straight_through"))
    cells["quantizer.gradient_reach"] = "noise = print('hello')\n" + answer_of("quantizer.gradient_reach").replace(
        '"""Return whether', '"""Tell (noise: {noise}) whether'
    ).replace("return bool", "noise\n    return bool")
    for lesson in ("00_start_here", "01_quantizer"):
        nbformat.write(made_class.notebook(lesson, cells), folder / f"{lesson}.ipynb")
    return folder


@pytest.fixture(scope="module")
def exported(student):
    before = {file: file.read_bytes() for file in student.glob("*.ipynb")}
    said = []
    parts = mine.export(student / "my_vqvae.py", student, tell=said.append)
    assert {file: file.read_bytes() for file in student.glob("*.ipynb")} == before
    return student / "my_vqvae.py", {part.id: part for part in parts}, said


def fresh(code, folder, **variables):
    """Run Python anew in a folder; return what it prints, stderr as well."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | variables
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr


def test_yours_is_what_passes_in_the_module_and_the_rest_is_said_to_be_the_courses(exported):
    file, parts, said = exported
    text, said = file.read_text(), "\n".join(said)
    own = {id for id, part in parts.items() if part.source}
    assert own == {
        *("start.to_unit_range", "start.two_greys", "quantizer.squared_distances", "quantizer.nearest_code"),
        *("quantizer.VectorQuantizer", "quantizer.as_products", "quantizer.two_faced"),
    }
    assert "# The course's own: yours does not pass its check.\nlook_up = reference(" in text
    assert "# The course's own: yours is still open.\nstraight_through = reference(" in text
    assert "quantizer.look_up; yours does not pass its check: " in said
    assert "quantizer.gradient_reach; yours needs a cell that prints" in said
    assert "From the course: all of 00b_primer, all of 02_losses" in said and "each of yours is in no notebook" in said
    assert "7 of your answers" in said and "My VQ-VAE: 7 functions" in text


def test_the_module_is_as_the_student_wrote_it_and_without_a_trace_of_the_notebook(exported):
    text = exported[0].read_text()
    for written in ("# my first answer\ndef to_unit_range", "# in NumPy", "@jax.jit\ndef squared_distances"):
        assert written in text
    for trace in (
        "Write your answer",
        "check(",
        "hint(",
        "get_ipython",
        "%time",
        "pip list",
        "print(to",
        "SOLUTION",
        "recall",
    ):
        assert trace not in text
    assert "import numpy\n" not in text and "np.asarray(pixels) / K" in text
    assert "quantizer_K = 2" in text  # lesson 00 has another K
    assert ruff(exported[0]).strip() == "All checks passed!", ruff(exported[0])


def test_it_can_be_imported_alone_and_every_answer_in_it_passes_its_check(exported):
    """Judged as data, with no stand-in for what an answer calls."""
    file, parts, _ = exported
    assert fresh("import my_vqvae", file.parent) == ""
    code = (
        "import json, my_vqvae; from vqtutor.lessons import EXERCISES; from vqtutor.checking import judge\n"
        f"ids = {[id for id, part in parts.items() if part.source]}\n"
        "print(json.dumps({id: judge(EXERCISES[id], getattr(my_vqvae, id.split('.')[1])).state for id in ids}))\n"
        "print(all(callable(getattr(my_vqvae, n)) for l in __import__('vqtutor.lessons').lessons.LESSONS"
        " for n in l.exercises))"
    )
    states, whole = fresh(code, file.parent).splitlines()
    assert set(json.loads(states).values()) == {"passed"} and whole == "True"


@pytest.mark.proof
def test_what_its_docstring_shows_runs_in_a_plain_python_and_files_keep_every_code(exported):
    code = (
        "import doctest, my_vqvae as my, numpy as np, vqtutor; print(doctest.testmod(my))\n"
        "data = vqtutor.load_dataset(); codec, prior = my.trained_codec(data), my.trained_prior(data)\n"
        "images = data.test_images[:9]; file = my.save(images, data.test_labels[:9], codec, prior)\n"
        "print(np.array_equal(my.load(file, codec, prior), codec.decode(codec.encode(images))), len(file) < 9 * 16)\n"
        "try: my.load(file[:-1], codec, prior)\n"
        "except ValueError as error: print(error)"
    )
    few = {"VQTUTOR_DATASET": "strokes", "VQTUTOR_MAX_STEPS": "3", "VQTUTOR_PROGRESS_BAR": "off"}
    results, same, refused = fresh(code, exported[0].parent, **few).splitlines()
    assert results.startswith("TestResults(failed=0, attempted=11") and same == "True True" and "damaged" in refused


def test_what_is_there_is_not_overwritten(exported, capsys):
    file = exported[0]
    before = file.read_bytes()
    assert main(["export", "mine", "--notebooks", str(file.parent), "-o", str(file)]) == 1
    assert f"{file} is there already" in capsys.readouterr().err and file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--notebooks", "nowhere"], "There is no folder 'nowhere': name the one that holds your notebooks."),
        (["--notebooks", "empty"], "There are no notebooks in 'empty'"),
        (["--notebooks", "odd"], "No notebook in odd has an answer to an exercise of the course"),
        (["-o", "my model.py"], "my model.py could not be imported"),
        (["-o", "class.py"], "class.py could not be imported"),
        (["-o", "json.py"], "There is another module called json"),
        (["-o", "nowhere/mine.py"], "There is no folder 'nowhere': make it"),
        ([], "There is no answer of yours on this machine"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "a.ipynb").write_text("no JSON")
    (tmp_path / "odd" / "b.ipynb").write_text('{"cells": []}')
    assert main(["export", "mine", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vqtutor export: {sentence}")
    assert not list(tmp_path.glob("*.py"))


def test_the_progress_keeps_what_passed_with_its_comments_and_is_asked_by_default(tmp_path, monkeypatch, capsys):
    """As in Colab's `!vqtutor export mine`: no notebook is there to be read."""
    monkeypatch.chdir(tmp_path)
    source = "# a comment\ndef to_unit_range(pixels):\n    return jnp.float32(pixels) / 255\n"
    entry = {"state": "passed", "points": 2, "source": source}
    progress.TABLE.save({"start.to_unit_range": entry, "start.two_greys": {"state": "not yet", "points": 1}})
    assert main(["export", "mine"]) == 0
    out = capsys.readouterr().out
    assert "start.two_greys; yours has not passed its check yet." in out and "1 of your answers" in out
    assert "# a comment\ndef to_unit_range" in (tmp_path / "my_vqvae.py").read_text()


def test_an_answer_that_takes_its_process_along_or_never_ends_costs_itself_only(tmp_path, monkeypatch):
    right = "def to_unit_range(pixels): return jnp.float32(pixels) / 255"
    parts = [Part("start.to_unit_range", f"import os\nN = os._exit(3)\n{right.replace('255', '(N or 255)')}")]
    parts += [
        Part("start.two_greys", f"def forever():\n    while True: pass\nN = forever()\n{answer_of('start.two_greys')}")
    ]
    parts[1] = Part(parts[1].id, parts[1].source.replace("dark.mean()", "dark.mean() + (N or 0)"))
    parts += [Part("quantizer.look_up", f"M = open('left.txt', 'w')\n{answer_of('quantizer.look_up')}\n# {{M}}")]
    parts += [Part(id, why="is still open") for id in EXERCISES if id not in {part.id for part in parts}]
    found = {part.id: part for part in mine.judged(parts, tmp_path / "m.py")}
    assert found["start.to_unit_range"].why == "ends Python when it is defined or called"
    assert found["start.two_greys"].why == "needs a cell that computes for over 5 seconds"
    assert "writes left.txt" in found["quantizer.look_up"].why


def test_an_answer_that_loads_data_when_it_is_defined_stays_in_its_notebook(tmp_path):
    cells = {id: answer_of(id) for id in EXERCISES if id.startswith("start")}
    cells["start.to_unit_range"] = (
        "data = vqtutor.load_dataset()\ndef to_unit_range(pixels): return jnp.float32(pixels) / data.train_images.max()"
    )
    nbformat.write(made_class.notebook("00_start_here", cells), tmp_path / "00_start_here.ipynb")
    parts = {part.id: part for part in from_notebooks(tmp_path)[0]}
    assert "calls vqtutor.load_dataset" in parts["start.to_unit_range"].why and parts["start.two_greys"].source


@pytest.mark.parametrize("harm", made_class.HARMED, ids=lambda harm: harm.__name__)
def test_notebooks_that_came_to_harm_are_read_as_in_grading(harm, tmp_path):
    cells = {id: answer_of(id) for id in EXERCISES}
    made = harm(made_class.notebook("01_quantizer", cells))
    (tmp_path / "my copy.ipynb").write_text(json.dumps(made), encoding="utf-8")
    parts, said = from_notebooks(tmp_path)
    assert sum(bool(part.source) for part in parts) == 8 and not said
