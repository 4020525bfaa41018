"""The glossary: found under the words that people use, the same in the docs, and true to the lessons."""

import re
from pathlib import Path

import pytest

import vqtutor
from vqtutor import authoring, terms
from vqtutor.lessons import LESSONS

ROOT = Path(__file__).parents[1]


def test_the_docs_hold_the_glossary():
    assert (ROOT / "docs" / "glossary.md").read_text() == terms.page(), "run python -m vqtutor.terms > docs/glossary.md"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("nats", "nat"), ("Nat", "nat"), ("codes", "code"), ("commitment loss", "commitment loss"),
        ("straight-through", "straight-through estimator"), ("ema", "EMA"), ("mask a", "mask A, mask B"),
        ("stop gradient", "stop_gradient"), ("one hot", "one-hot"), ("residual conn", "residual connection"),
    ],
)  # fmt: skip
def test_words_are_found_as_people_write_them(asked, found, capsys):
    vqtutor.glossary(asked)
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == found and terms.TERMS[found][0] in shown


def test_an_unknown_word_gets_similar_ones():
    with pytest.raises(KeyError, match="Did you mean.*perplexity"):
        vqtutor.glossary("perplexitty")
    with pytest.raises(KeyError, match=r"vqtutor.glossary\(\) lists all words"):
        vqtutor.glossary("qqqqqq")


def test_without_a_word_all_are_listed(capsys):
    vqtutor.glossary()
    shown = capsys.readouterr().out
    assert all(term in shown for term in terms.TERMS)


def test_words_are_in_order_and_say_where_they_first_matter():
    words = list(terms.TERMS)
    assert words == sorted(words, key=str.casefold)
    for term, (says, lesson) in terms.TERMS.items():
        assert says.endswith(".") and lesson in {one.number for one in LESSONS}, term


def test_words_that_lessons_use_occur_in_the_lesson_that_they_are_filed_under():
    texts = {}
    for lesson in LESSONS:
        cells = authoring.read(ROOT / "solutions" / f"{lesson.notebook}.ipynb").cells
        sources = (re.sub(r"data:image/[^)]*", "", cell.source) for cell in cells)
        texts[lesson.number] = re.sub(r"[-_\s]+", " ", " ".join(sources).casefold())
    missing = []
    for term, (_, lesson) in terms.TERMS.items():
        stem = re.split(r",| and |$", term.casefold())[0].removesuffix("e").removesuffix(" estimator")
        used = [number for number, text in texts.items() if re.sub("[-_]", " ", stem) in text]
        if used and lesson not in used:
            missing.append((term, lesson, used))
    assert not missing


def test_every_row_of_symbols_has_a_column_for_each_paper():
    assert {len(row) for row in terms.SYMBOLS} == {3 + len(terms.PAPERS)}


def test_student_facing_text_names_systems_by_name():
    """R1 and R2 are names for files and commands; a student reads "the Keras VQ-VAE"."""
    for path in sorted((ROOT / "vqtutor" / "lessons").glob("*/*.py")):
        assert not re.search(r"\bR[1-4]\b", path.read_text()), path
