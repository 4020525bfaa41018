"""The instructors' page to the letter: a command and three blocks add an exercise, and the suite takes it in."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vqtutor import scaffold
from vqtutor.lessons import LESSONS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path):
    """A copy of the course."""
    for name in ("vqtutor", "solutions", "notebooks", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "Makefile", "environment.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(folder, *arguments):
    """Run Python in a copy of the course."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def fill_in(path, start, block):
    """Put a block in place of the last stub of a file."""
    text = path.read_text()
    at = text.rindex(start)
    end = text.find("\n}\n", at) + 1 if path.stem == "probes" else len(text)
    path.write_text(text[:at] + block + text[end:])


@pytest.mark.proof
def test_the_exercise_of_the_instructors_page_passes_the_suite(copy):
    done = run(copy, "-m", "vqtutor.cli", "new-exercise", "losses", "usage")
    assert done.returncode == 0, done.stderr
    lesson = copy / "vqtutor" / "lessons" / "losses"
    stubs = "".join((lesson / f"{part}.py").read_text() for part in ("answers", "probes", "exercises")).splitlines()
    page = (ROOT / "docs" / "instructors.md").read_text()
    answer, probes, exercise, equal = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    fill_in(lesson / "answers.py", "def usage(", answer)
    fill_in(lesson / "probes.py", '    "usage": (', probes)
    fill_in(lesson / "exercises.py", "usage = exercise(", exercise)
    text = (lesson / "equal.py").read_text()
    (lesson / "equal.py").write_text(re.sub(r"(?m)^(EQUAL.*\{\n)", lambda found: found[1] + equal, text))
    assert sum(line not in stubs for line in (answer + probes + exercise + equal).splitlines()) <= 40  # written by hand
    for step in (
        ("vqtutor.cli", "doctor", "--misconceptions", "losses.usage"),
        ("vqtutor.cli", "doctor", "--mutants", "losses.usage", "--write"),
        ("vqtutor.cli", "release"),
        ("vqtutor.cli", "release", "--check"),
        ("ruff", "check", "vqtutor", "solutions"),
        ("ruff", "format", "--check", "vqtutor/lessons"),
        ("pytest", "-q", "-p", "no:cacheprovider", "tests/test_exercises.py", "tests/test_grading.py",
         "tests/test_authoring.py", "tests/test_house.py", "-k", "losses.usage or declared or 02_losses"),
    ):  # fmt: skip
        done = run(copy, "-m", *step)
        assert done.returncode == 0, done.stdout + done.stderr
    student = (copy / "notebooks" / "02_losses.ipynb").read_text()
    assert "def usage" in student and "indices.size" not in student


STUBS = """
from vqtutor.cli import main
from vqtutor.lessons import LESSONS
for lesson in LESSONS:
    assert main(["doctor", "--misconceptions", f"{lesson.slug}.new_in_{lesson.slug}"]) == 0
assert main(["release"]) == 0
"""


@pytest.mark.long
def test_a_stub_works_in_every_lesson(copy):
    for lesson in LESSONS:
        bonus = lesson is LESSONS[-1]
        for file in scaffold.new_exercise(copy, lesson.slug, f"new_in_{lesson.slug}", bonus):
            assert file.is_file()
    declared = (copy / "vqtutor" / "lessons" / "__init__.py").read_text()
    assert re.search(rf'puzzles=\(("\w+", )+"new_in_{LESSONS[-1].slug}"\)', declared)
    done = run(copy, "-c", STUBS)
    assert done.returncode == 0 and done.stdout.count("1 accepted") == len(LESSONS), done.stdout + done.stderr
    assert run(copy, "-m", "ruff", "check", "vqtutor/lessons").returncode == 0


@pytest.mark.parametrize(
    ("slug", "name", "sentence"),
    [
        ("lossess", "usage", "There is no lesson 'lossess': take one of start"),
        ("losses", "not a name", "'not a name' cannot be the name of a function"),
        ("losses", "class", "'class' cannot be the name of a function"),
        ("losses", "perplexity", "perplexity is an exercise of 02_losses already"),
        ("gated", "perplexity", "perplexity is an exercise of 02_losses already"),
    ],
)
def test_what_cannot_be_added_is_said_and_nothing_is_written(slug, name, sentence, tmp_path):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        scaffold.new_exercise(tmp_path, slug, name)
    assert list(tmp_path.iterdir()) == []
