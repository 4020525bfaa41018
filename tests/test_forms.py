"""An answer that passes its own check in a notebook gets the same from `vqtutor grade`, whatever form the notebook has.

`python tests/test_forms.py` prints the table of forms with both scores. `python tests/test_forms.py start losses`
grades every right answer of the catalogue in these lessons, which takes too long for every day.
"""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import made_class
import nbformat
import pytest
import written
from conftest import remembering
from IPython.core.interactiveshell import InteractiveShell
from test_grading import needs_sandbox
from traitlets.config import Config

import vqtutor
from vqtutor.grading.collect import collect
from vqtutor.grading.grade import Grader
from vqtutor.grading.pages import STOPPED
from vqtutor.grading.sandbox import Limits, Outcome
from vqtutor.lessons import EXERCISES, LESSONS
from vqtutor.lessons.answers import answer_of

IMPORTS = "import haiku as hk, jax, jax.numpy as jnp, numpy as np, vqtutor"


@dataclass(frozen=True)
class Cell:
    """A cell of the exercise, with its metadata; the other cells are plain texts."""

    text: str
    kind: str = "code"
    role: str = "answer"
    exercise: str | None = None


def check(name):
    return Cell(f'{name} = vqtutor.check("{ID_OF[name]}", {name})', role="check")


ID_OF = {id.split(".")[1]: id for id in EXERCISES if id.split(".")[0] in ("start", "quantizer", "losses")}
PIXELS = "def to_unit_range(pixels): return jnp.asarray(pixels, jnp.float32) / {}"
UNIT = Cell(PIXELS.format(255))
LOOK_UP = Cell("def look_up(indices, codebook): return codebook[indices]")


VQ_LOSS = Cell("def vq_loss(z_e, codes, beta): return jnp.mean((jax.lax.stop_gradient(z_e) - codes) ** 2)"
               " + beta * jnp.mean((z_e - jax.lax.stop_gradient(codes)) ** 2)")  # fmt: skip
REPAIR = Cell(
    "def repair_quantizer(z_e, codebook, beta):\n    codes = look_up(nearest_code(z_e, codebook), codebook)\n"
    "    return straight_through(z_e, codes), vq_loss(z_e, codes, beta)"
)


def over(what, *cells):
    """Return a notebook whose answer divides by `what`, which these cells make."""
    return [*cells, Cell(PIXELS.format(what))]


# Each is a notebook whose last exercise is the one that is looked at; its check is added where there is none.
FORMS = {
    # -- rules, decorators, wrappers
    "custom_vjp, the rule in the cell": [
        Cell(
            "@jax.custom_vjp\ndef straight_through(z_e, z_q): return z_q\ndef fwd(z_e, z_q): return z_q, None\n"
            "def bwd(_, g): return g, jnp.zeros_like(g)\nstraight_through.defvjp(fwd, bwd)"
        )
    ],
    "custom_vjp, the rule in a later cell": [
        Cell("@jax.custom_vjp\ndef straight_through(z_e, z_q): return z_q"),
        "def fwd(z_e, z_q): return z_q, None\ndef bwd(_, g): return g, jnp.zeros_like(g)",
        "straight_through.defvjp(fwd, bwd)",
    ],
    "custom_vjp of a helper": [
        "@jax.custom_vjp\ndef f(z_e, z_q): return z_q",
        "f.defvjp(lambda z_e, z_q: (z_q, None), lambda _, g: (g, jnp.zeros_like(g)))",
        Cell("def straight_through(z_e, z_q): return f(z_e, z_q)"),
    ],
    "custom_jvp, the rule as a decorator": [
        "@jax.custom_jvp\ndef f(z_e, z_q): return z_q",
        "@f.defjvp\ndef rule(args, dots): return args[1], dots[0]",
        Cell("def straight_through(z_e, z_q): return f(z_e, z_q)"),
    ],
    "jitted in a later line": [Cell(UNIT.text + "\nto_unit_range = jax.jit(to_unit_range)")],
    "jitted in a later cell": [UNIT, "to_unit_range = jax.jit(to_unit_range)"],
    "mended in a later cell": [
        Cell(PIXELS.format(256)),
        "wrong = to_unit_range\nto_unit_range = lambda pixels: wrong(pixels) * 256 / 255",
    ],
    "decorator of another cell": [
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g(*a): return 2 * f(*a)\n    return g",
        Cell("@twice\n" + PIXELS.format(510)),
    ],
    "registered by a decorator": [
        "TABLE = {}",
        "def register(f):\n    TABLE[f.__name__] = f\n    return f",
        "@register\ndef most(): return 255",
        Cell(PIXELS.format("TABLE['most']()")),
    ],
    "singledispatch": [
        "import functools\n@functools.singledispatch\ndef most(x): return 1",
        "@most.register\ndef _(x: int): return 255",
        Cell(PIXELS.format("most(3)")),
    ],
    "a partial": [
        "import functools\ndef over(most, pixels): return jnp.asarray(pixels, jnp.float32) / most",
        Cell("to_unit_range = functools.partial(over, 255)"),
    ],
    "a lambda": [Cell("to_unit_range = lambda pixels: jnp.asarray(pixels, jnp.float32) / 255")],
    "a tuple assignment": [Cell("to_unit_range, x = (lambda pixels: jnp.asarray(pixels, jnp.float32) / 255), 3")],
    "another name, checked under it": [
        Cell("def mine(pixels): return jnp.asarray(pixels, jnp.float32) / 255"),
        Cell('to_unit_range = vqtutor.check("start.to_unit_range", mine)', role="check"),
    ],
    "checked without an assignment": [UNIT, Cell('vqtutor.check("start.to_unit_range", to_unit_range)', role="check")],
    "checked in its own cell": [Cell(UNIT.text + '\nvqtutor.check("start.to_unit_range", to_unit_range);')],
    # -- magics
    "%%time": [Cell("%%time\n" + UNIT.text)],
    "%%capture with an option": [Cell("%%capture out\n" + UNIT.text)],
    "%%time below blank lines": [Cell("\n\n%%time\n" + UNIT.text)],
    "%%time and %%capture": [Cell("%%time\n%%capture\n" + UNIT.text)],
    "%timeit, %time, !ls, ?": over("N", "%time N = 255\n%timeit -n1 -r1 N\n!ls\n?len\nfiles = !ls"),
    "magics in the answer's cell": [Cell(UNIT.text + "\n%timeit -n1 -r1 to_unit_range(np.zeros(3))\nto_unit_range?")],
    "%%bash and %%html elsewhere": ["%%bash\nls", "%%html\n<b>x</b>", UNIT],
    # -- what is filled or changed
    "table filled": over("TABLE[1]", "TABLE = [1, 1]", "TABLE[1] = 255"),
    "table filled under another name": over("TABLE[1]", "TABLE = [1, 1]", "T = TABLE", "T[1] = 255"),
    "table filled in a view": over("TABLE[1, 1]", "TABLE = np.ones((2, 2))", "T = TABLE.reshape(-1)\nT += 254"),
    "table filled in a loop": over("TABLE[1]", "TABLE = {}", "for i in range(3):\n    TABLE[i] = 255"),
    "table filled in an if": over("TABLE[1]", "TABLE = {}", "if TABLE == {}:\n    TABLE[1] = 255"),
    "table filled by a helper": over(
        "TABLE[1]", "TABLE = {}", "def fill(table, n):\n    table[1] = n", "fill(TABLE, 255)"
    ),
    "table filled by a helper of a helper": over(
        "TABLE[1]", "TABLE = {}", "def fill(t): t[1] = 255", "def setup():\n    fill(TABLE)", "done = setup()"
    ),
    "list shuffled": over("L[0]", "import random\nL = [255, 255]", "random.shuffle(L)"),
    "array copied into": over("A[0]", "A = np.zeros(1)", "np.copyto(A, 255)"),
    "popped": over("L[-1]", "L = [255, 256]", "last = L.pop()"),
    "options updated": over("opts['n']", "opts = dict()", "opts.update(n=255)"),
    "class attribute set": over("Config.MAX", "class Config: MAX = 1", "Config.MAX = 255"),
    "class attribute by setattr": over("Config.MAX", "class Config: MAX = 1", "setattr(Config, 'MAX', 255)"),
    "function attribute": [Cell(PIXELS.format("to_unit_range.most")), "to_unit_range.most = 255"],
    "a global counter": over(
        "n", "n = 254", "def bump():\n    global n\n    n += 1", "bump()", "def unused(): bump()"
    ),
    "a global made by a helper": over("MOST", "def setup():\n    global MOST\n    MOST = 255", "setup()"),
    "filled below the answer": [Cell(PIXELS.format("TABLE[1]")), "TABLE = {}", "TABLE[1] = 255"],
    "changed after the check": [*over("TABLE[1]", "TABLE = {1: 255}"), check("to_unit_range"), "TABLE[1] = 1"],
    "changed before it is copied": over("M", "T = [1]", "T[0] = 255", "M = T[0]", "T[0] = 3"),
    # -- names over several cells
    "built over cells": over("scale", "scale = 510.0", "scale /= 2"),
    "given again below the answer": [*over("N", "N = 1"), "N = 255"],
    "given again after the check": [*over("N", "N = 255"), check("to_unit_range"), "N = 1"],
    "given again between two uses": over("(M * N)", "N = 51", "M = N", "N = 5"),
    "kept in a function": over("most()", "N = 255", "M = N", "def most(n=M): return n", "M = 3"),
    "used by a helper that ran early": over("M", "N = 255", "def get(): return N", "M = get()", "N = 1"),
    "annotated only": over("N", "N: int", "N: int = 255", "N: int"),
    "a name deleted after its use": over("N", "M = 255", "N = M", "del M"),
    "walrus": over("N", "print(N := 255)"),
    "chosen by an if": over("N", "N = 255", "if jax.default_backend() == 'none':\n    N = 256"),
    "in a loop": over("N", "N = 0", "for i in range(255):\n    N = N + 1"),
    "in a with": over("N", "with jax.default_matmul_precision('highest'):\n    N = 255"),
    "in a match": over("N", "match 3:\n    case 3:\n        N = 255\n    case _:\n        N = 1"),
    "a swap": over("a", "a, b = 1, 255", "a, b = b, a"),
    "a type alias": [
        "from typing import Any\nArray = Any",
        Cell("def to_unit_range(pixels: Array) -> Array: return jnp.asarray(pixels, jnp.float32) / 255"),
    ],
    "__future__ annotations": [
        "x = 3",
        Cell("from __future__ import annotations\ndef to_unit_range(pixels: Missing): return np.float32(pixels) / 255"),
    ],
    "__future__ in an earlier cell": [
        "from __future__ import annotations",
        "class Scale:\n    def of(self, other: Scale) -> Scale: return 255",
        Cell(PIXELS.format("Scale().of(1)")),
    ],
    "answer in an if": [Cell("if True:\n    " + UNIT.text)],
    "answer in a try": [
        Cell("try:\n    import torch\nexcept ImportError:\n    torch = None\nfinally:\n    " + UNIT.text)
    ],
    "nested functions": [
        Cell("def to_unit_range(pixels):\n    def f(x):\n        return g(x)\n    return f(pixels)"),
        "def g(x):\n    return (lambda y: h(y))(x)",
        "def h(x): return np.float32(x) / 255",
    ],
    "helpers that call each other": over(
        "a(3)", "def a(n): return 255 if n == 0 else b(n)", "def b(n): return a(n - 1)"
    ),
    "class hierarchy": over(
        "C().n()", "class A:\n    m = 5", "class B(A):\n    m = A.m * 51", "class C(B):\n    def n(self): return self.m"
    ),
    "dataclasses": over(
        "B(51).n",
        "from dataclasses import dataclass, field",
        "@dataclass\nclass A:\n    k: int",
        "@dataclass\nclass B(A):\n    n: int = field(init=False)\n    def __post_init__(self): self.n = 5 * self.k",
    ),
    "an enum": over("Most.pixel.value", "from enum import Enum", "class Most(Enum): pixel = 255"),
    # -- imports
    "star import": over("add(200, 55)", "from operator import *"),
    "star import below": [Cell(PIXELS.format("add(200, 55)")), "from operator import *"],
    "star import, then an own function": over("add(1, 2)", "from operator import *", "def add(a, b): return 255"),
    "own function, then a star import": over("add(200, 55)", "def add(a, b): return 1", "from operator import *"),
    "star import of what is not there": ["from torch import *", UNIT],
    "import of what is not there": ["import torch\nfrom torch import nn", UNIT],
    "such an import below a helper": over("N()", "def N(): return 255\nimport torch"),
    "such an import in a try": over(
        "N", "try:\n    import torch\n    N = 1\nexcept ImportError:\n    torch, N = None, 255"
    ),
    "a helper that is for torch only": over(
        "most()", "def most():\n    if 0: return torch.max()\n    return 255", "import torch"
    ),
    "pictures of the course elsewhere": ["from vqtutor.show import figures", "figures.nothing", UNIT],
    "an import that is shadowed": over("math", "import math", "math = 255"),
    # -- errors elsewhere
    "a cell that fails": ["x = 1 / 0", UNIT],
    "a change that fails": over("T[0]", "T = [255]", "T.append(1 / 0)"),
    "a cell that Python cannot read": ["def f(:", UNIT],
    "a first try that fails": ["def to_unit_range(pixels): return pixels.wrong", UNIT],
    # -- earlier exercises
    "an own helper of an earlier lesson's name": [
        "def to_unit_range(i, codes): return codes[i]",
        Cell("def look_up(indices, codebook): return to_unit_range(indices, codebook)"),
    ],
    "an own option of an earlier answer": [
        Cell("def codebook_loss(z_e, codes, s=1):\n    return s * jnp.mean((jax.lax.stop_gradient(z_e) - codes) ** 2)"),
        check("codebook_loss"),
        Cell("def vq_loss(z_e, codes, beta): return codebook_loss(z_e, codes) + codebook_loss(codes, z_e, s=beta)"),
    ],
    "an earlier answer that is wrong": [
        Cell("def codebook_loss(z_e, codes): return 3.0"),
        check("codebook_loss"),
        Cell("def commitment_loss(z_e, codes): return 5.0"),
        check("commitment_loss"),
        Cell("def vq_loss(z_e, codes, beta): return codebook_loss(z_e, codes) + beta * commitment_loss(z_e, codes)"),
    ],
    "an earlier lesson's answer pasted, and wrong": [
        "def look_up(indices, codebook): return 0 * codebook[indices]\ndef nearest_code(z, codebook): return 3",
        "def straight_through(z_e, z_q): return z_q",
        VQ_LOSS,
        check("vq_loss"),
        REPAIR,
    ],
    "recalled": [
        'look_up = vqtutor.recall("quantizer.look_up")\nnearest_code = vqtutor.recall("quantizer.nearest_code")',
        'straight_through = vqtutor.recall("quantizer.straight_through")',
        VQ_LOSS,
        check("vq_loss"),
        REPAIR,
    ],
    # -- what becomes of cells
    "no check": [UNIT, "None"],
    "no metadata": [UNIT.text],
    "ids of another release": [Cell(UNIT.text, exercise="start.unit_range")],
    "doubled, the first one open": [Cell("def to_unit_range(pixels):\n    ..."), UNIT],
    "written below, the blank left": [Cell("def to_unit_range(pixels):\n    ..."), UNIT.text],
    "doubled, the first one wrong": [Cell(PIXELS.format(3)), UNIT],
    "tried again after the check": [UNIT, check("to_unit_range"), Cell(PIXELS.format(3), exercise="")],
    "split over two cells": [
        "def half(pixels): return np.float32(pixels) / 510",
        Cell("def to_unit_range(pixels): return 2 * half(pixels)"),
    ],
    "wrong": [Cell(PIXELS.format(256))],
    "open": [Cell("def to_unit_range(pixels):\n    ...")],
    "never defined": [Cell("# def to_unit_range(pixels): return 3")],
}  # fmt: skip


# All others pass. `never checked`: the check failed before it was asked.
UNFINISHED = {"wrong": "not yet", "open": "not written yet", "never defined": "never checked"}


def exercise_of(cells):
    names = [name for cell in cells for name in ID_OF if name in getattr(cell, "text", cell)]
    last = [cell for cell in cells if isinstance(cell, Cell) and cell.role == "answer" and cell.exercise != ""] or cells
    text = getattr(last[-1], "text", last[-1])
    own = [name for name in names if f"def {name}(" in text or text.startswith((name, f"@twice\ndef {name}"))]
    return EXERCISES[ID_OF[(own or names)[0]]]


def notebook(cells):
    """Return the notebook of a form, and its exercise."""
    exercise = exercise_of(cells)
    made = nbformat.v4.new_notebook()
    if not any(
        "vqtutor.check" in getattr(cell, "text", cell) and exercise.id in getattr(cell, "text", cell) for cell in cells
    ):
        cells = [*cells[:-1], *([] if cells[-1] == "None" else [cells[-1], check(exercise.name)])]
    for cell in [IMPORTS, *cells]:
        if isinstance(cell, str):
            made.cells.append(nbformat.v4.new_code_cell(cell))
            continue
        new = {
            "code": nbformat.v4.new_code_cell,
            "markdown": nbformat.v4.new_markdown_cell,
            "raw": nbformat.v4.new_raw_cell,
        }
        name = next((name for name in ID_OF if f"def {name}" in cell.text), exercise.name)
        id = ID_OF[name] if cell.exercise is None else cell.exercise
        made.cells.append(
            new[cell.kind](cell.text, metadata={"vqtutor": {"role": cell.role, "exercise": id}} if id else {})
        )
    return made, exercise


def own_check(made, exercise, folder):
    """Run a notebook from top to bottom, and return the (state, points) of its last check."""
    config = Config()
    config.HistoryManager.enabled = False
    shell, log = InteractiveShell(config=config), folder / "log.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(shell, "system", lambda command: None)  # it would fork, which JAX's threads forbid
        patch.setattr(shell, "getoutput", lambda command, **options: [])
        patch.setenv("VQTUTOR_LOG", str(log))
        patch.setattr(shell, "showtraceback", lambda *args, **options: None)
        patch.setattr(shell, "showsyntaxerror", lambda *args, **options: None)
        for cell in made.cells:
            if cell.cell_type == "code":
                shell.run_cell(cell.source)
    verdicts = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    verdicts = [(one["state"], one["points"]) for one in verdicts if one["exercise"] == exercise.id]
    if not verdicts and not any("vqtutor.check" in cell.source for cell in made.cells):
        found = vqtutor.judge(exercise.id, shell.user_ns[exercise.name])
        verdicts = [(found.state, found.points)]
    return verdicts[-1] if verdicts else ("never checked", 0)


def hand_in(made, exercise, folder):
    (folder / "class").mkdir(parents=True, exist_ok=True)
    lesson = next(lesson for lesson in LESSONS if lesson.slug == exercise.lesson)
    nbformat.write(made, folder / "class" / f"ada_{lesson.notebook}.ipynb")
    (found,) = collect(folder / "class")
    return found


@pytest.fixture(scope="module")
def grader(tmp_path_factory):
    grader = Grader(Limits(seconds=2), memory=remembering(tmp_path_factory.mktemp("memory")))
    yield grader
    grader.close()


@needs_sandbox
@pytest.mark.parametrize("form", FORMS)
def test_the_grader_gives_what_the_own_check_gave(form, grader, tmp_path):
    made, exercise = notebook(FORMS[form])
    own = own_check(made, exercise, tmp_path)
    verdict = grader.judge(hand_in(made, exercise, tmp_path).answers[exercise.id])
    assert own[0] == UNFINISHED.get(form, "passed")
    assert verdict["points"] == own[1], verdict["message"]
    assert verdict["state"] == own[0] or own[0] == "never checked"
    assert verdict["outcome"] != Outcome.APART


# What no sandbox can know: the answer passes its own check, and is listed for a look by hand, with the reason.
BY_HAND = {
    "data of a file": (over("DATA[0]", "np.save('x.npy', [255])\nDATA = np.load('x.npy')"), "FileNotFoundError"),
    "data of a file, read when it is called": (
        ["np.save('x.npy', [255])", Cell(PIXELS.format("np.load('x.npy')"))], "FileNotFoundError"),
    "data of the course": (over("most", "data = vqtutor.load_dataset('strokes')\nmost = data.train_images.max()"),
        "AttributeError"),
    "a module of its own": (["%%writefile mine.py\nMOST = 255", *over("MOST", "import sys; sys.path.append('.')",
        "from mine import MOST")], "ModuleNotFoundError"),
    "a star of a module of its own": (["%%writefile mine2.py\nMOST = 255", *over("MOST",
        "import importlib, sys; importlib.invalidate_caches(); sys.path.append('.')", "from mine2 import *")],
        "ModuleNotFoundError"),
    "a name that is made by %run": (["%%writefile mine3.py\nMOST = 255", *over("MOST", "%run mine3.py")], "NameError"),
    "a name that is made by exec": (over("MOST", "exec('MOST = 255')"), "NameError"),
    "a name that is made in globals()": (over("MOST", "globals()['MOST'] = 255"), "NameError"),
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("form", BY_HAND)
def test_what_cannot_run_apart_is_left_to_hands_and_says_why(form, grader, tmp_path):
    cells, reason = BY_HAND[form]
    made, exercise = notebook(cells)
    assert own_check(made, exercise, tmp_path)[0] == "passed"
    verdict = grader.judge(hand_in(made, exercise, tmp_path).answers[exercise.id])
    assert verdict["points"] == 0 and reason in verdict["message"], verdict
    assert "by hand" in (STOPPED.get(verdict["outcome"]) or STOPPED.get(verdict["problem"])), verdict


# What nothing in the notebook defines: it fails there as well, and nobody has to look at it.
TYPOS = {
    "in the answer": [Cell("def to_unit_range(pixels): return jnp.asarray(pixel, jnp.float32) / 255")],
    "in a helper": ["def most(): return maximun", Cell(PIXELS.format("most()"))],
    "above the answer": [Cell("MOST = maximun\n" + PIXELS.format("MOST"))],
    "a module that is not imported": [Cell(PIXELS.format("torch.tensor(255)"))],
    "beside magics": ["%matplotlib inline\n!pip list", Cell(PIXELS.format("maximun"))],
}


@needs_sandbox
@pytest.mark.parametrize("form", TYPOS)
def test_a_name_that_nothing_defines_is_a_mistake_and_nobody_looks_at_it(form, grader, tmp_path):
    made, exercise = notebook(TYPOS[form])
    assert own_check(made, exercise, tmp_path)[0] != "passed"
    verdict = grader.judge(hand_in(made, exercise, tmp_path).answers[exercise.id])
    assert verdict["points"] == 0 and "is not defined" in verdict["message"] and "by hand" not in verdict["message"]
    assert not (STOPPED.get(verdict["outcome"]) or STOPPED.get(verdict["problem"])), verdict


# Cells that came to harm: what the own check gave cannot be told any more.
HARMED = {
    "a text cell": ([Cell(UNIT.text, "markdown")], 2, "text cell"),
    "a text cell without metadata": ([Cell(UNIT.text, "markdown", exercise="")], 2, "text cell"),
    "a text cell with fences": ([Cell(f"```python\n{UNIT.text}\n```", "markdown")], 2, "text cell"),
    "a raw cell": ([Cell(UNIT.text, "raw")], 2, "text cell"),
    "a text cell, and a blank": ([Cell("def to_unit_range(pixels):\n    ..."), Cell(UNIT.text, "markdown")], 2,
        "text cell"),
    "words in a text cell": ([Cell("I divide to_unit_range by 255.", "markdown")], 0, "make it a code cell"),
    "an answer that Python cannot read": ([Cell("def to_unit_range(pixels)\n    return 3")], 0, "cannot read"),
    "a definition and its body in two cells": ([Cell("def to_unit_range(pixels):"), "    return pixels / 255"], 0,
        "cannot read"),
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("form", HARMED)
def test_cells_that_came_to_harm_are_graded_or_named(form, grader, tmp_path):
    cells, points, words = HARMED[form]
    made, exercise = notebook(cells)
    answer = hand_in(made, exercise, tmp_path).answers[exercise.id]
    assert grader.judge(answer)["points"] == points
    assert words in answer.note + answer.problem


def test_exercises_of_another_release_are_named(tmp_path):
    made, exercise = notebook([Cell(UNIT.text, exercise="start.unit_range")])
    assert "start.unit_range" in hand_in(made, exercise, tmp_path).sentence


def every_right_answer(grader, folder, lessons):
    """Print the right answers of the catalogue that do not get full points, and how many do, by lesson."""
    for slug in lessons:
        good = count = 0
        for exercise in [one for id, one in EXERCISES.items() if id.startswith(f"{slug}.")]:
            cells = [("the last hint", answer_of(exercise.id)), *written.right(exercise)]
            for name, cell in cells:
                made = made_class.notebook(made_class.lesson_of(exercise), {exercise.id: cell})
                verdict = grader.judge(hand_in(made, exercise, folder / slug).answers[exercise.id])
                count, good = count + 1, good + (verdict["points"] == exercise.points)
                if verdict["points"] < exercise.points:
                    print(exercise.id, name, verdict["points"], verdict["message"])
        print(f"{slug}: {good} of {count} right answers have full points", flush=True)


def table(grader):
    """Print each form, with what its own check and the grader gave."""
    left = {form: cells for form, (cells, *_) in (BY_HAND | HARMED).items()}
    for form, cells in (FORMS | left).items():
        made, exercise = notebook(cells)
        with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
            own = own_check(made, exercise, Path(folder))
            verdict = grader.judge(hand_in(made, exercise, Path(folder)).answers[exercise.id])
        why = STOPPED.get(verdict["outcome"]) or STOPPED.get(verdict["problem"], "")
        print(
            f"{form:45} own: {own[0]:16}{own[1]}  graded: {verdict['state']:16}{verdict['points']}  {why}", flush=True
        )


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        judges = Grader(Limits(seconds=6), memory=Path(place) / "memory")
        if sys.argv[1:]:
            every_right_answer(judges, Path(place), sys.argv[1:])
        else:
            table(judges)
        judges.close()
