"""Run the whole course on a data set, and show its ledger: pictures and docs/ledger.md.

    VQTUTOR_DATA=... python benchmarks/course.py mnist
    python benchmarks/course.py strokes --stored        # from the outputs that solutions/ keep

The executed notebooks come to build/course-mnist, with the progress, which another call goes on with: name lessons, as
in `mnist 05 06`, to run only those. Of each lesson the processor time is told, kernel and compiling included.
"""

import argparse
import base64
import re
import resource
import time
from pathlib import Path

from vqtutor import authoring

ROOT = authoring.course_folder()
PAGE, TITLES = ROOT / "docs" / "ledger.md", {"strokes": "Built-in digits", "mnist": "MNIST"}
HEAD = """# The ledger

What each system of the course takes and what it loses, from one run of all lessons, seed 0: bits an image across,
distortion of test images up, as a share of the variance. A system with a prior has two markers, its bits under a
uniform prior and under its own. Networks, codebooks and programs that read a format have to be at hand, and are not
counted. `python benchmarks/course.py` makes this page.
"""


def run(name: str, wanted: tuple[str, ...], folder: Path) -> None:
    """Execute lessons, in order, in kernels of their own."""
    environment = authoring.quiet(ROOT) | {"VQTUTOR_DATASET": name, "VQTUTOR_PROGRESS": str(folder / "progress.json")}
    for path in authoring.lessons(ROOT):
        if path.stem.startswith(wanted):
            before, wall = _processor_seconds(), time.monotonic()
            notebook = authoring.execute(authoring.answered(authoring.read(path)), environment, ROOT)
            authoring.write(authoring.still(notebook), folder / path.name)
            took = _processor_seconds() - before
            print(f"{path.stem}: {took:.0f} s of processor time in {time.monotonic() - wall:.0f} s", flush=True)


def _processor_seconds() -> float:
    """Return what all kernels that have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ledger(folder: Path) -> tuple[bytes, str]:
    """Return the last ledger that executed notebooks drew, and its alternative text."""
    cells = [cell for path in sorted(folder.glob("*.ipynb")) for cell in authoring.read(path).cells]
    drawn = [out for cell in cells if cell.id.startswith("ledger") for out in cell.get("outputs", [])]
    *_, last = [out for out in drawn if "image/png" in out.get("data", {})]
    return base64.b64decode(last.data["image/png"]), last.metadata["image/png"]["alt"]


def keep(name: str, folder: Path) -> None:
    """Put a data set's ledger into docs/."""
    png, alt = ledger(folder)
    (PAGE.parent / f"ledger-{name}.png").write_bytes(png)
    known = re.findall(r"!\[(.*)\]\(ledger-(\w+)\.png\)", PAGE.read_text() if PAGE.exists() else "")
    alts = {other: words for words, other in known} | {name: alt}
    parts = [f"\n## {title}\n\n![{alts[one]}](ledger-{one}.png)\n" for one, title in TITLES.items() if one in alts]
    PAGE.write_text(HEAD + "".join(parts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=TITLES)
    parser.add_argument("lessons", nargs="*", default=[""], help="00, 00b, 01, ...; all of them where none is named")
    parser.add_argument("--stored", action="store_true", help="run nothing: take the ledger of solutions/")
    options = parser.parse_args()
    folder = ROOT / "solutions" if options.stored else ROOT / "build" / f"course-{options.data}"
    folder.mkdir(parents=True, exist_ok=True)
    if not options.stored:
        run(options.data, tuple(options.lessons), folder)
    keep(options.data, folder)
