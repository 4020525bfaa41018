"""A class that was made up: right and wrong answers, half-done, damaged and hostile notebooks, and what was planted."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import written

from vqtutor import authoring
from vqtutor.lessons import EXERCISES
from vqtutor.lessons import lesson_of as declared

ROOT = Path(__file__).parents[1]
LESSONS = {path.stem: path for path in authoring.lessons(ROOT)}


def lesson_of(exercise: Any) -> str:
    return declared(exercise.id).notebook


def marked(cell: str, exercise: Any, mark: str) -> str:
    """Return a cell that nobody else wrote, and that does the same."""
    return f"{cell}\n{exercise.name} = {exercise.name} if {mark!r} else 0\n" if mark else cell


def notebook(lesson: str, cells: dict[str, str], solved: bool = False) -> nbformat.NotebookNode:
    """Return a lesson with these cells as answers; the others stay blank, or as in the solution."""
    made = authoring.read(LESSONS[lesson])
    made = authoring.stamp(made, lesson, ROOT) if solved else authoring.release(made, lesson, ROOT)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
        if authoring.about(cell).get("role") == "answer":
            cell.source = cells.get(authoring.about(cell)["exercise"], cell.source)
        elif authoring.about(cell).get("role") == "free_text" and solved:
            cell.source = "Since nothing tells them apart."
    return made


# -- how a notebook comes to harm --------------------------------------------------------------------------------------


def without_metadata(made):
    for cell in made.cells:
        cell.metadata = nbformat.from_dict({})
    return made


def duplicated(made):
    cells = []
    for cell in made.cells:
        cells += [cell, copy.deepcopy(cell)] if authoring.about(cell).get("role") == "answer" else [cell]
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
    made.cells = cells
    return made


def reordered(made):
    made.cells = made.cells[::-1]
    return made


def saved_by_colab(made):
    made = without_metadata(made)
    for cell in made.cells:
        cell.pop("id", None)
        cell.metadata["id"] = "aBc123"
    made.nbformat_minor = 0
    made.metadata = nbformat.from_dict({"colab": {"provenance": []}, "kernelspec": {"name": "python3"}})
    return made


def of_notebook_version_3(made):
    return nbformat.convert(made, 3)


def with_magics(made):
    for cell in made.cells:
        if authoring.about(cell).get("role") == "answer":
            cell.source = f"%time\n!ls\n{cell.source}"
    return made


HARMED = (without_metadata, duplicated, reordered, saved_by_colab, of_notebook_version_3, with_magics)
DAMAGED = {
    "cut short": lambda text: text[: len(text) // 2],
    "no JSON": lambda text: "Sehr geehrte Damen und Herren,",
    "not a notebook": lambda text: json.dumps({"answer": 42}),
    "empty": lambda text: "",
}


# -- attacks: each is the body of a function that is called with whatever its exercise is called with ------------------

ATTACKS: dict[str, str] = {
    "forged points": 'import os; os.write(3, b\'[{"whole": "passed", "points": 99}]\'); os._exit(0)',
    "forged observations": (
        "import os, json; os.write(3, json.dumps([{'probe': n, 'arrays': {n: ['float32', [], 'AAAAAA==']}}"
        " for n in ('values', 'any shape', 'no more')]).encode()); os._exit(0)"
    ),
    "forged with huge shapes": (
        'import os; os.write(3, b\'[{"probe": "values", "arrays": {"values": ["float32", [1000000000000], ""]}}]\');'
        " os._exit(0)"
    ),
    "nested reply": "import os; os.write(3, b'[' * 100000); os._exit(0)",
    "patched vqtutor": (
        "import sys; sys.modules['vqtutor'].check = sys.modules['vqtutor'].judge = lambda *a: True; return args[0]"
    ),
    "patched json and numpy": (
        "import json, numpy; json.dumps = lambda *a, **k: '[]'; numpy.asarray = lambda *a: 0; return args[0]"
    ),
    "patched frames": (
        "import sys\n    frame = sys._getframe()\n    while frame:\n"
        "        frame.f_globals.update(plain=lambda *a: 0, observe=lambda *a: [])\n        frame = frame.f_back\n"
        "    return args[0]"
    ),
    "array that lies": (
        "class Liar:\n        def __array__(self, *a, **k): raise SystemExit\n        __eq__ = lambda s, o: True\n"
        "    return Liar()"
    ),
    "fork bomb": "import os\n    while True: os.fork()",
    "processes": "import subprocess; return subprocess.run(['sleep', '1000'])",
    "thread bomb": (
        "import threading, time\n    while True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"
    ),
    "endless loop": "while True: pass",
    "endless loop that hears nothing": "import ctypes; return ctypes.CDLL(None).sleep(100000)",
    "10 GB array": "import numpy; return numpy.ones(10 * 2**30, 'uint8')",
    "memory, bit by bit": "kept = []\n    while True: kept.append(bytearray(2**24))",
    "a gigabyte of prints": "[print('x' * 2**20) for _ in range(1024)]; return args[0]",
    "a gigabyte of reply": "import os\n    while True: os.write(3, b'x' * 2**20)",
    "a gigabyte of files": "open('x', 'wb').write(bytes(2**30)); return args[0]",
    "os._exit": "import os; os._exit(0)",
    "sys.exit": "import sys; sys.exit(0)",
    "segmentation fault": "import ctypes; ctypes.string_at(0)",
    "signals": (
        "import os, signal\n    for pid in (os.getppid(), 1, 2, 3, -1):\n        try: os.kill(pid, signal.SIGKILL)\n"
        "        except OSError: pass\n    return args[0]"
    ),
    "own process": "import os, signal; os.kill(os.getpid(), signal.SIGABRT); os._exit(3)",
    "privileges": (
        "import ctypes, os; libc = ctypes.CDLL(None)\n"
        "    if libc.unshare(0x10000000) == 0 or libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0: return args[0]\n"
        "    raise PermissionError('nothing to be had')"
    ),
    "reads the reference on disk": (
        "import sys, os\n    for top in [*sys.path, '/']:\n        for folder, _, files in os.walk(top):\n"
        "            if 'vqtutor' in folder and files: return __import__('vqtutor.lessons.start.answers')\n"
        "    raise LookupError('nothing to be had')"
    ),
    "reads the reference in memory": (
        "import gc, types\n    for f in gc.get_objects():\n"
        "        if isinstance(f, types.FunctionType) and f is not NAME and f.__name__ == 'NAME': return f(*args)\n"
        "    raise LookupError('nothing to be had')"
    ),
    "reads other processes": "return [open(f'/proc/{i}/environ').read() for i in range(1, 9)]",
    "reads the report": "return open('REPORT/grades.sqlite', 'rb').read()",
    "writes outside": (
        "import os\n    for folder in ('/', '/usr', '/programs', '/dev/shm', '/dev', 'REPORT', '/var/tmp', '/etc'):\n"
        "        try: open(folder + '/planted', 'w').write('x'); return args[0]\n        except OSError: pass\n"
        "    raise PermissionError('nothing to be had')"
    ),
    "shared memory": (
        "import ctypes; get = ctypes.CDLL(None, use_errno=True).shmget\n"
        "    if get(0, 1 << 20, 0o1600) < 0: raise OSError(ctypes.get_errno(), 'nothing to be had')\n"
        "    return np.float32(args[0]) / 255"
    ),
    "message queues": (
        "import ctypes; system = ctypes.CDLL(None, use_errno=True)\n"
        "    if system.msgget(0, 0o1600) < 0 and system.semget(0, 1, 0o1600) < 0: raise PermissionError('nothing')\n"
        "    return np.float32(args[0]) / 255"
    ),
    "a flood of empty files": ("[open(f'{i}', 'w').close() for i in range(10_000)]; return np.float32(args[0]) / 255"),
    "a flood of small threads": (
        "import threading, time; threading.stack_size(32768)\n"
        "    for _ in range(3000): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "    return np.float32(args[0]) / 255"
    ),
    "outlives its keeper": (
        "import ctypes; system = ctypes.CDLL(None, use_errno=True)\n"
        "    if system.prctl(1, 0, 0, 0, 0) < 0: raise OSError(ctypes.get_errno(), 'not to be had')\n"
        "    return np.float32(args[0]) / 255"
    ),
    "looks through the programs": (
        "import os\n    try: os.chmod(os.environ['JAX_COMPILATION_CACHE_DIR'], 0o755)\n    except OSError: pass\n"
        "    os.listdir(os.environ['JAX_COMPILATION_CACHE_DIR']); return np.float32(args[0]) / 255"
    ),
    "a file in memory": "import os; os.memfd_create('x'); return np.float32(args[0]) / 255",
    "calls by their other numbers": (
        "import ctypes; system = ctypes.CDLL(None, use_errno=True)\n"
        "    if system.syscall(0x40000027) < 0 and ctypes.get_errno() == 1: raise PermissionError('not to be had')\n"
        "    return np.float32(args[0]) / 255"
    ),
    "network": "import socket; socket.create_connection(('127.0.0.1', PORT), 2); return args[0]",
}


def attack(name: str, exercise: Any, report: Path = Path("/nowhere"), port: int = 9) -> str:
    body = ATTACKS[name].replace("REPORT", str(report)).replace("PORT", str(port)).replace("NAME", exercise.name)
    arguments = "".join(f"{argument}, " for argument in exercise.arguments)
    return f"def {exercise.name}({arguments.rstrip(', ')}):\n    args = ({arguments})\n    {body}\n"


# -- a whole class -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """What a made student's answer is: a kind, and the misconception's name where it is one."""

    kind: str
    name: str | None = None


KINDS = ("right", "wrong", "right", "half", "wrong", "right", "harmed", "wrong", "right", "hostile")


def write(
    folder: Path, students: int, lessons: list[str] | None = None, seed: int = 0, kinds: tuple[str, ...] = KINDS
) -> dict[tuple[str, str], Planted]:
    """Write a class of notebooks, folder/student/lesson.ipynb, and return {(student, exercise): what was planted}.

    Of ten students, four are right each in a way of their own, three hold misconceptions in every exercise, one is
    half-done, one right in a notebook that came to harm, and one hostile or damaged.
    """
    chance, planted = random.Random(seed), {}
    wrong = {id: written.wrong(exercise) for id, exercise in EXERCISES.items()}
    held = 0
    for number in range(students):
        kind = kinds[number % len(kinds)]
        student = f"{number:03d} {chance.choice(('Ada', 'Émile', '李雷', 'नेहा', 'Zoë'))}"
        held += kind == "wrong"
        for lesson in lessons or LESSONS:
            made, told = _lesson(lesson, kind, held, chance, wrong, f"{student} {number}")
            file = folder / student / f"{lesson}.ipynb"
            file.parent.mkdir(parents=True, exist_ok=True)
            text = nbformat.writes(made)
            if kind == "hostile" and number % 20 == 19:
                how, harm = chance.choice(list(DAMAGED.items()))
                text, told = harm(text), {id: Planted("damaged", how) for id in told}
            file.write_text(text, encoding="utf-8")
            planted |= {(student, id): what for id, what in told.items()}
    return planted


def _lesson(lesson, kind, held, chance, wrong, mark) -> tuple[nbformat.NotebookNode, dict[str, Planted]]:
    made = notebook(lesson, {}, solved=True)
    answers = {authoring.about(c)["exercise"]: c for c in made.cells if authoring.about(c).get("role") == "answer"}
    cells, told = {}, {}
    harm: Callable = chance.choice(HARMED) if kind == "harmed" else (lambda made: made)
    for i, id in enumerate(answers):
        exercise, own = EXERCISES[id], mark if chance.random() < 0.5 else ""  # half of all answers are one of a kind
        told[id] = Planted("right")
        if kind == "wrong":
            name, cell = wrong[id][held % len(wrong[id])]
            cells[id], told[id] = marked(cell, exercise, own), Planted("wrong", name)
        elif kind == "half" and i >= len(answers) // 2:
            told[id] = Planted("open")
        elif kind == "hostile":
            name = chance.choice(list(ATTACKS))
            if exercise.base is None:
                cells[id], told[id] = attack(name, exercise), Planted("hostile", name)
        elif kind == "right" and held % 2:
            cells[id] = marked(chance.choice(written.right(exercise))[1], exercise, own)
    for id, cell in answers.items():
        cell.source = authoring.blank(cell.source) if told[id].kind == "open" else cells.get(id, cell.source)
    return harm(made), told
