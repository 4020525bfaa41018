"""Run every lesson's solution on a data set, draw the ledger that it leaves, and say what it took and what it printed.

    VQTUTOR_DATA=... python benchmarks/course.py mnist --picture docs/ledger-mnist.png

The executed notebooks come to build/course-mnist, with the ledger, which a second call goes on with: name lessons, as
in `mnist 05 06`, to run only those. After a run, `--picture` without lessons draws what is there.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import vqtutor
from vqtutor import authoring

SECONDS = "seconds.json"


def run(name: str, wanted: list[str], folder: Path) -> None:
    """Execute lessons, in order, in kernels of their own."""
    root = authoring.course_folder()
    environment = authoring.quiet(root) | {"VQTUTOR_DATASET": name, "VQTUTOR_PROGRESS": str(folder / "progress.json")}
    file = folder / SECONDS
    seconds = json.loads(file.read_text()) if file.exists() else {}
    for path in authoring.lessons(root):
        if not path.stem.startswith(tuple(wanted)):
            continue
        before, wall = _processor_seconds(), time.monotonic()
        notebook = authoring.execute(authoring.answered(authoring.read(path)), environment, root)
        seconds[path.stem] = round(_processor_seconds() - before, 1)
        authoring.write(authoring.still(notebook), folder / path.name)
        print(f"{path.stem}: {seconds[path.stem]} s of processor time, {time.monotonic() - wall:.0f} s", flush=True)
        file.write_text(json.dumps(seconds, indent=2))


def _processor_seconds() -> float:
    """Return what all kernels that have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["strokes", "mnist"])
    parser.add_argument(
        "lessons", nargs="*", help="00, 00b, 01, ...; all of them where neither these nor --picture are"
    )
    parser.add_argument("--picture", type=Path, help="a .png for the ledger; its alternative text is printed")
    options = parser.parse_args()
    folder = authoring.course_folder() / "build" / f"course-{options.data}"
    folder.mkdir(parents=True, exist_ok=True)
    every = [""] if not (folder / SECONDS).exists() or not options.picture else []
    run(options.data, options.lessons or every, folder)
    if options.picture:
        import os

        os.environ["VQTUTOR_PROGRESS"] = str(folder / "progress.json")
        picture = vqtutor.ledger.show(vqtutor.load_dataset(options.data))
        picture.save(options.picture)
        print(picture.alt)
