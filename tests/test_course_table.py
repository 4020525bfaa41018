"""The table of what a lesson takes is what the lessons hold."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("lessons_table", ROOT / "benchmarks" / "lessons.py")
course = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(course)


def test_the_table_is_what_the_lessons_hold():
    page = course.PAGE.read_text(encoding="utf-8")
    written = [
        line.strip("| \n").split(" | ")
        for line in page.split(course.MARKS[0])[1].split(course.MARKS[1])[0].splitlines()
    ]
    assert tuple(written[0]) == course.HEAD
    for found, row in zip(course.table(), written[2:], strict=True):
        name, reading, *others = row
        assert name == found[0] and [int(number) for number in others] == list(found[2:]), (
            "python benchmarks/lessons.py --write",
            found,
        )
        assert abs(int(reading) - found[1]) <= (2 if name != "all" else 8)  # a sentence more is no news


def test_scaffolding_fades_and_every_lesson_ends_with_a_puzzle():
    rows = {row[0]: dict(zip(course.HEAD, row, strict=True)) for row in course.table()}
    del rows["all"]
    assert all(1 <= row["puzzle"] <= 3 for row in rows.values())
    share = {
        name: row["transcription"] / sum(row[kind] for kind in course.Kind if kind != "puzzle")
        for name, row in rows.items()
    }
    early, late = ("00b_primer", "01_quantizer", "02_losses"), ("03_vqvae", "05_pixelcnn_prior", "06_gated_pixelcnn")
    assert max(share[name] for name in late) <= min(share[name] for name in early)
