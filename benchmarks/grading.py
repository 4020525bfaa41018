"""Grade a made class: how long, how much memory, and whether what was planted is what is reported.

    python benchmarks/grading.py --students 200       # or 1000

The class holds right answers, every misconception, half-done, harmed, damaged and hostile notebooks, over all lessons;
half of all answers are one of a kind, so that no verdict can serve twice. Prints the confusion table of planted against
reported misconceptions, and the table of attacks.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))


# Runs the command line; prints its processor seconds and its peak memory in MB, without what runs in sandboxes.
MEASURED = """
import json, resource, sys
from vqtutor import cli
status = cli.main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
sys.exit(status)
"""


def grade(place: Path, out: Path, workers: int) -> str:
    """Return in words how long it took, and how much memory."""
    command = [sys.executable, "-c", MEASURED, "grade", str(place), "--out", str(out), "--workers", str(workers)]
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("vqtutor grade failed.")
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return (
        f"{(time.monotonic() - start) / 60:.1f} minutes with {workers} workers; the grading process itself took "
        f"{seconds:.0f} s of processor time, and {memory:.0f} MB at its peak"
    )


def main() -> None:
    import made_class

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lessons", nargs="+", help="by default all")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "made-class")
    options = parser.parse_args()
    folder = options.folder
    shutil.rmtree(folder, ignore_errors=True)
    planted = made_class.write(folder / "class", options.students, options.lessons)
    kinds = Counter(what.kind for what in planted.values())
    print(
        f"{options.students} students, {len(planted)} answers: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}"
    )
    print(f"graded in {grade(folder / 'class', folder / 'report', options.workers)}")
    print(f"once more, nothing changed: {grade(folder / 'class', folder / 'report', options.workers)}")

    said = json.loads((folder / "report" / "grades.json").read_text())["students"]
    outcome, attacks, wrong = Counter(), defaultdict(Counter), []
    for (student, id), what in planted.items():
        entry = said.get(student, {})
        verdict = (entry.get("exercises", {}) | entry.get("bonus", {})).get(id)
        name = verdict and verdict["misconception"]
        if verdict is None:
            became = "not graded, file named"
        elif what.kind == "wrong" and name:
            became = "named as planted" if name == what.name else "named otherwise"
        else:
            became = verdict["state"]
        outcome[what.kind, became] += 1
        if what.kind == "hostile":
            first = next((p["message"] for p in verdict["probes"] if p["message"]), verdict["message"])
            attacks[what.name][
                f"{verdict['points']} points: {first.splitlines()[0][:90] if first else verdict['state']}"
            ] += 1
        fine = {"right": "passed", "harmed": "passed", "open": "not written yet", "wrong": "named as planted"}
        if fine.get(what.kind, became) != became:
            wrong.append(f"{student}, {id}: planted {what.kind} {what.name or ''}, reported {became} {name or ''}")
    print("\nplanted    reported                    answers")
    for (kind, became), count in sorted(outcome.items()):
        print(f"{kind:10} {became:25} {count:9}")
    print("\nattack                             answers  what became of it")
    for name, became in sorted(attacks.items()):
        for i, (what, count) in enumerate(became.most_common(2)):
            print(f"{name if i == 0 else '':34} {count:7}  {what}")
    print("\n".join(["", *wrong]) if wrong else "\nNothing was reported otherwise than it was planted.")


if __name__ == "__main__":
    main()
