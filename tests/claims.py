"""Write docs/claims.md: what the lessons claim of their results, and the numbers that each claim is held to.

    python tests/claims.py

The claims are the tests of test_claims.py, test_claims_priors.py and test_claims_codec.py; the numbers are what those
tests read from the stored outputs of solutions/. So run it after the solutions were run; a claim that no longer holds
ends it.
"""

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "claims.md"
# What reads outputs in each module, and which of its arguments is the cell.
READERS = {
    "test_claims": {"said": 1, "numbers": 2},
    "test_claims_priors": {"printed": 1, "alt": 1, "found": 1, "rows": 1},
    "test_claims_codec": {"printed": 1, "alt": 1, "found": 1},
}
NAMES = {"k means": "k-means", "pca": "PCA", "ema": "EMA", "toys": "toy's"}
HEAD = """# Claims, and what they are held to

What the lessons say of their results, in prose, captions and alternative texts, is computed in their notebooks, or held
by a test to the stored outputs. These are the tests, by lesson, with the cells and the numbers that each reads (on the
built-in digits, seed 0). Beside them, every decimal, percentage and whole number of the texts has to be a setting,
published, arithmetic, or in the lesson's own code and outputs. `python tests/claims.py` writes this page.

| lesson | claim | cell: numbers |
|---|---|---|
"""


def page() -> str:
    """Return the page. A claim that does not hold raises AssertionError."""
    lines = []
    for module in map(import_module, READERS):
        for name, test in list(vars(module).items()):
            if match := re.fullmatch(r"test_(?:(\d\d)_)?(.+)", name):
                if not inspect.signature(test).parameters and (held_to := _held_to(module, test)):
                    lines.append(f"| {match[1] or '05, 06'} | {_sentence(match[2])} | {held_to} |")
    return HEAD + "\n".join(lines) + "\n"


def _sentence(name: str) -> str:
    words = name.replace("_", " ")
    for plain, right in NAMES.items():
        words = re.sub(rf"\b{plain}\b", right, words)
    return words[0].upper() + words[1:]


def _held_to(module, test) -> str:
    """Run a test, and return the cells and numbers that it read."""
    read, readers = {}, {name: vars(module)[name] for name in READERS[module.__name__]}

    def noted(name):
        def reader(*arguments):
            result = readers[name](*arguments)
            values = read.setdefault(arguments[READERS[module.__name__][name]], [])
            if not isinstance(result, str):
                values += [value for row in result for value in (row if isinstance(row, tuple) else (row,))]
            return result

        return reader

    try:
        vars(module).update({name: noted(name) for name in readers})
        test()
    finally:
        vars(module).update(readers)
    cells = {cell: ", ".join(f"{one:g}" for one in values if not isinstance(one, str)) for cell, values in read.items()}
    return "; ".join(f"`{cell}`" + (f": {numbers}" if numbers else "") for cell, numbers in cells.items())


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    FILE.write_text(page(), encoding="utf-8")
