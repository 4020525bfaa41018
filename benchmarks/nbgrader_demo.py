"""Both ways to grade, side by side: the real nbgrader from end to end, and vqtutor grade, on the same submissions.

    python benchmarks/nbgrader_demo.py [--students 3] [--lessons 00_start_here 01_quantizer]

Lays a course out in build/nbgrader-demo, generates the assignments, hands in a made class, autogrades, makes feedback,
grades the same notebooks with `vqtutor grade`, writes its points into a second gradebook, and compares all three.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def points(gradebook: Path) -> dict[tuple[str, str], float]:
    """Return {(student, cell): points} of nbgrader's gradebook, free text left out."""
    from vqtutor.grading import nbgrader

    found = {}
    with nbgrader.open_gradebook(f"sqlite:///{gradebook}") as book:
        for assignment in book.assignments:
            for submission in book.assignment_submissions(assignment.name):
                for notebook in submission.notebooks:
                    for grade in notebook.grades:
                        if grade.name.startswith("check"):
                            found[submission.student.id, grade.name] = grade.auto_score
    return found


def main() -> int:
    import made_class

    from vqtutor import authoring
    from vqtutor.grading import nbgrader

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=4)
    parser.add_argument("--lessons", nargs="+", default=["00_start_here", "01_quantizer"])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "nbgrader-demo")
    parser.add_argument("--once", action="store_true", help="grade once: the time of a later run is not measured")
    options = parser.parse_args()
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    nbgrader.lay_out(ROOT, folder, options.lessons)
    made_class.write(folder / "handed-in", options.students, options.lessons, kinds=("wrong", "half", "right", "wrong"))
    if "00_start_here" in options.lessons:  # warnings on stderr must not cost a student points
        answer = "import sys, warnings\n\n\ndef to_unit_range(pixels):\n    warnings.warn('noisy')\n"
        answer += "    print('noisy', file=sys.stderr)\n    return pixels.astype('float32') / 255\n"
        noisy = made_class.notebook("00_start_here", {"start.to_unit_range": answer})
        authoring.write(noisy, folder / "handed-in" / "noisy" / "00_start_here.ipynb")
    settings = os.environ | {
        "VQTUTOR_DATASET": "strokes",
        "VQTUTOR_PROGRESS": str(folder / "progress.json"),
        "VQTUTOR_PROGRESS_BAR": "off",
        "VQTUTOR_CACHE": os.environ.get("VQTUTOR_CACHE", str(folder / "cache")),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def call(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=folder, env=settings, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")

    took = 0.0
    for lesson in options.lessons:
        call("nbgrader", "generate_assignment", lesson)
        for student in [path.parent for path in (folder / "handed-in").glob(f"*/{lesson}.ipynb")]:
            place = folder / "submitted" / student.name / lesson
            place.mkdir(parents=True)
            shutil.copy(student / f"{lesson}.ipynb", place)
        start = time.monotonic()
        call("nbgrader", "autograde", lesson)
        took += time.monotonic() - start
        call("nbgrader", "generate_feedback", lesson)
    theirs = points(folder / "gradebook.db")

    start = time.monotonic()
    call("vqtutor.cli", "grade", "handed-in", "--out", "report")
    ours_took = time.monotonic() - start
    again_took = ours_took
    if not options.once:  # a course's first run also learned what right looks like
        shutil.rmtree(folder / "report")
        start = time.monotonic()
        call("vqtutor.cli", "grade", "handed-in", "--out", "report")
        again_took = time.monotonic() - start
    nbgrader.export(folder / "report", f"sqlite:///{folder / 'exported.db'}", ROOT)
    ours = points(folder / "exported.db")

    for key in sorted(theirs | ours):
        if theirs.get(key) != ours.get(key):
            print(f"{key}: nbgrader {theirs.get(key)}, vqtutor {ours.get(key)}")
    print(f"{len(theirs)} answers of {options.students} students: {sum(theirs.values()):g} points in nbgrader,")
    print(f"{sum(ours.values()):g} in vqtutor grade. Autograde took {took:.0f} s, vqtutor grade {ours_took:.0f} s the")
    print(f"first time ever, {again_took:.1f} s from then on: {took / again_took:.0f} times the throughput.")
    print(f"Feedback: {len(list((folder / 'feedback').rglob('*.html')))} pages of nbgrader's in {folder / 'feedback'}")
    fine = theirs == ours and theirs.get(("noisy", "check-to-unit-range"), 2) == 2
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
