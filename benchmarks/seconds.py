"""What each lesson takes on this machine, compiling apart: `python benchmarks/seconds.py [PART OF A NAME ...]`.

Runs solutions/ in a kernel each, on the built-in digits, with an empty folder for compiled programs, as on a student's
first visit; a second kernel of the same lesson then finds what the first has compiled. Nothing in the course changes.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import nbformat

from vqtutor import authoring

ROOT = Path(__file__).parents[1]
BEFORE = """
import jax
_spent = {}
def _count(event, seconds, **about):
    _spent[event] = _spent.get(event, 0) + seconds
jax.monitoring.register_event_duration_secs_listener(_count)
"""
AFTER = """
import json, resource
_used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([_used.ru_utime + _used.ru_stime, _spent.get("/jax/core/compile/backend_compile_duration", 0),
                  sum(s for e, s in _spent.items() if "trace" in e or "to_mlir" in e)]))
"""


def visit(path: Path, environment: dict[str, str]) -> tuple[float, float, float, float]:
    """Return seconds from first to last cell, kernel included; of the processor; compiling; tracing and lowering."""
    notebook = authoring.read(path)
    notebook.cells = [nbformat.v4.new_code_cell(BEFORE), *notebook.cells, nbformat.v4.new_code_cell(AFTER)]
    start = time.perf_counter()
    done = authoring.execute(notebook, environment, ROOT)
    took = time.perf_counter() - start
    (said,) = (output.text for output in done.cells[-1].outputs if output.get("name") == "stdout")
    return took, *json.loads(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="by default all lessons")
    names = parser.parse_args().names
    print("| lesson | seconds | of the processor | compiling | tracing and lowering | once more, compiled before |")
    print("|---|---|---|---|---|---|")
    first_all, again_all = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        kept = {"VQTUTOR_PROGRESS": f"{folder}/progress.json", "PYTHONPATH": str(ROOT)}
        for path in authoring.lessons(ROOT):
            if names and not any(name in path.stem for name in names):
                continue
            own = authoring.quiet(ROOT) | kept | {"VQTUTOR_CACHE": f"{folder}/{path.stem}"}
            first, again = visit(path, own), visit(path, own)
            first_all, again_all = first_all + first[0], again_all + again[0]
            shown = " | ".join(f"{seconds:.0f}" for seconds in (*first, again[0]))
            print(f"| {path.stem} | {shown} |", flush=True)
    print(f"| all | {first_all:.0f} | | | | {again_all:.0f} |")


if __name__ == "__main__":
    main()
