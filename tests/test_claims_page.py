"""What is written from stored outputs is up to date: docs/claims.md, docs/ledger.md and the README's ledgers."""

import base64
import re
from pathlib import Path

import claims
import pytest
import test_claims

ROOT = Path(__file__).parents[1]


def test_the_list_of_claims_is_what_the_tests_read():
    assert claims.FILE.read_text(encoding="utf-8") == claims.page(), "run `python tests/claims.py`"


def test_a_claim_that_does_not_hold_is_not_listed(monkeypatch):
    monkeypatch.setattr(test_claims, "said", lambda name, cell: "8% of the variance, 26% of the variance")
    with pytest.raises(AssertionError):
        claims.page()


def test_the_ledger_of_the_built_in_digits_is_the_one_that_the_lessons_draw():
    (cell,) = (cell for cell in test_claims.notebook("08_codec").cells if cell.id == "ledger-shown")
    (drawn,) = (out for out in cell.outputs if "image/png" in out.get("data", {}))
    again = "run `python benchmarks/course.py strokes --stored`"
    assert drawn.metadata["image/png"]["alt"] in (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8"), again
    assert base64.b64decode(drawn.data["image/png"]) == (ROOT / "docs" / "ledger-strokes.png").read_bytes(), again


@pytest.mark.parametrize("name", ["strokes", "mnist"])
def test_the_readme_says_of_the_ledgers_what_they_show(name):
    short, long = (
        " ".join(re.search(rf"!\[([^\]]*)\]\([\w/]*ledger-{name}\.png\)", (ROOT / file).read_text("utf-8"))[1].split())
        for file in ("README.md", "docs/ledger.md")
    )
    systems = {
        "k-means on patches": r"k-means on patches loses ([\d.]+\d)",
        "VQ-VAE, collapsed": r"a collapsed VQ-VAE ([\d.]+\d)",
        "EMA and revival": r"EMA codebook with revival ([\d.]+\d)",
        "with the gated prior": r"64 codes lose ([\d.]+) at 294 bits, and at (\d+) under",
        "WebP, 400 in one file": r"WebP takes (\d+) and loses ([\d.]+\d)",
    }
    for system, words in systems.items():
        (row,) = re.findall(rf"(?:^|[;.] ){system}(?: \(the course's\))? ([^;]*)(?:;|$)", long)
        for number in re.search(words, short).groups():
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", row), (
                f"{system}: README says {number}, and it is {row}"
            )
