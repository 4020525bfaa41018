"""An answer cut out of its notebook runs by itself, whatever it leans on."""

import pytest

from vqtutor.source import PREAMBLE, Cell, cut


def run(cells, name="answer", at=None, blanks=(), **others):
    """Cut `name` out of a notebook of these cells, run it with nothing else, and return what it defines."""
    code = [Cell(text) for text in cells]
    cell = code[at] if at is not None else next(one for one in reversed(code) if one.defining(name))
    source, given = cut(code, cell, name, blanks)
    space = dict(others)
    exec(PREAMBLE, space)
    exec(source, space)
    return space[name], given


# Each is a notebook whose answer() is 42.
FORMS = {
    "a helper above": ["def helper(): return 42", "def answer(): return helper()"],
    "a helper below": ["def answer(): return helper()", "def helper(): return 42"],
    "a helper of a helper": ["def a(): return 42", "def b(): return a()", "def answer(): return b()"],
    "an import": ["import operator as op", "def answer(): return op.add(40, 2)"],
    "a star import": ["from operator import *", "def answer(): return add(40, 2)"],
    "a constant": ["N = 42", "def answer(): return N"],
    "a constant given again later": ["N = 42", "def answer(): return N", "N = 0"],
    "a constant over two cells": ["N = 40", "N += 2", "def answer(): return N"],
    "a constant that goes on from itself": ["N = 40", "N = N + 2", "def answer(): return N"],
    "a table filled later": ["T = [0] * 3", "T[1] = 42", "def answer(): return T[1]"],
    "a table filled in a loop": ["T = {}", "for i in range(3):\n    T[i] = 42", "def answer(): return T[2]"],
    "a dict updated": ["O = dict()", "O.update(n=42)", "def answer(): return O['n']"],
    "another name of a table": ["T = [0] * 3", "U = T", "U[1] = 42", "def answer(): return T[1]"],
    "another name, and the answer uses that": ["T = [0] * 3", "U = T", "T[1] = 42", "def answer(): return U[1]"],
    "a name of another name": ["T = [0]", "U = T", "V = U", "V[0] = 42", "def answer(): return T[0]"],
    "two names at once": ["T = U = [0]", "U[0] = 42", "def answer(): return T[0]"],
    "a part under another name": ["T = {'a': [0]}", "U = T['a']", "U.append(42)", "def answer(): return T['a'][1]"],
    "a view": ["T = np.zeros((2, 2))", "U = T.reshape(-1)", "U[3] = 42", "def answer(): return int(T[1, 1])"],
    "a column": ["T = np.zeros((2, 2))", "U = np.asarray(T).T[1]", "U[0] = 42", "def answer(): return int(T[0, 1])"],
    "rows of a loop": ["T = [[0], [0]]", "for i, row in enumerate(T):\n    row[0] = 42", "def answer(): return T[1][0]"],  # noqa: E501
    "another name in a function": ["T = [0]", "def fill():\n    t = T\n    t[0] = 42", "fill()",
        "def answer(): return T[0]"],
    "another name, filled by a function": ["T = [0]", "U = T", "def fill(t): t[0] = 42", "fill(U)",
        "def answer(): return T[0]"],
    "another name, swapped": ["T, U = [0], [1]", "T, V = U, T", "U[0] = 42", "def answer(): return T[0]"],
    "a name by the way": ["T = [0]", "if (U := T) is not None:\n    U[0] = 42", "def answer(): return T[0]"],
    "an object under another name": ["class C: n = 0", "c = C()", "d = c", "d.n = 42", "def answer(): return c.n"],
    "an attribute set": ["class Config: N = 0", "Config.N = 42", "def answer(): return Config.N"],
    "an attribute of its own": ["def answer(): return answer.n", "answer.n = 42"],
    "a rule added": [
        "@jax.custom_vjp\ndef f(x): return 2 * x\ndef fwd(x): return f(x), None\ndef bwd(_, g): return (21 * g,)\n",
        "f.defvjp(fwd, bwd)",
        "def answer(): return 2 * float(jax.grad(f)(1.0))",
    ],
    "a decorator of its own": ["def twice(f): return lambda: 2 * f()", "@twice\ndef answer(): return 21"],
    "a base class of its own": [
        "class Base:\n    def __call__(self): return 42",
        "class Made(Base): pass\nanswer = Made()",
    ],
    "a partial": ["import functools", "def f(a, b): return a + b\nanswer = functools.partial(f, 40, 2)"],
    "a magic": ["%%time\nN = 42", "def answer(): return N"],
    "an earlier version": ["def answer(): return 0", "def answer(): return 42"],
    "recursion": ["def answer(n=42): return 0 if n == 0 else 1 + answer(n - 1)"],
}  # fmt: skip


@pytest.mark.parametrize("cells", FORMS.values(), ids=FORMS)
def test_it_runs_by_itself(cells):
    assert run(cells)[0]() == 42


def test_a_name_that_means_something_else_by_then_changes_nothing():
    cells = [Cell(text) for text in ("T = [42]", "U = T", "U = [0]", "U[0] = open('x')", "def answer(): return T[0]")]
    assert "open" not in cut(cells, cells[-1], "answer", ())[0]


def test_earlier_blanks_are_left_to_others_and_so_is_what_a_cell_recalls():
    cells = [
        "def nearest(z): return 0",
        "look_up = vqtutor.recall('quantizer.look_up')",
        "def answer(): return nearest(1) + look_up(1)",
    ]
    answer, given = run(cells, blanks={"nearest"}, nearest=lambda z: 40, look_up=lambda i: 2)
    assert answer() == 42
    assert given["nearest"] is None and given["look_up"] == "quantizer.look_up"


def test_a_statement_that_changes_what_the_answer_does_not_use_stays_behind():
    source, _ = cut([c := Cell("def answer(): return 42"), Cell("T = {}"), Cell("T['a'] = open('x')")], c, "answer", ())
    assert "open" not in source
