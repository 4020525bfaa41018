"""The commands of `vqtutor`: run, site, test, lab, release, grade, export, new-exercise and doctor."""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

_QUICK = ("authoring", "checking", "colab", "data", "download", "house", "progress", "source", "strokes", "training")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser("vqtutor", description="Learn vector-quantized autoencoders by building one.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="execute the reference course and build its pages in build/course/")
    commands.add_parser("site", help="build the same pages from the outputs that solutions/ keep")
    test = commands.add_parser("test", help="run the tests, and nbval on the solutions")
    test.add_argument("--quick", action="store_true", help="only what takes seconds, without the notebooks")
    test.add_argument("--proofs", action="store_true", help="only the long ones, which the others leave out")
    test.add_argument("rest", nargs="*", help="passed on to pytest; nbval is left out then")
    commands.add_parser("lab", help="open the student notebooks in JupyterLab")
    release = commands.add_parser("release", help="make notebooks/ from solutions/")
    release.add_argument("--execute", action="store_true", help="run the solutions first and store their outputs")
    release.add_argument("--check", action="store_true", help="only say what would change")
    grade = commands.add_parser("grade", help="grade a folder or zip of notebooks, in a sandbox")
    grade.add_argument(
        "submissions", type=Path, help="student/01_quantizer.ipynb, student_01_quantizer.ipynb, or a zip"
    )
    grade.add_argument(
        "--out", type=Path, required=True, help="a folder for the report; a run that was stopped goes on"
    )
    grade.add_argument("--workers", type=int, default=os.cpu_count(), help="how many answers run at a time")
    grade.add_argument(
        "--seconds", type=float, default=2.0, help="an answer's processor time, in multiples of its exercise's own"
    )
    grade.add_argument("--memory", type=float, default=6.0, help="an answer's memory, in GiB of address space")
    grade.add_argument(
        "--roster", type=Path, help="a CSV of the class: a column `student`, and others with other names"
    )
    grade.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that does the work")
    grade.add_argument("--unsafe", action="store_true", help="run answers with no sandbox: see the instructors' page")
    export = commands.add_parser("export", help="write your answers as a module, or grades into nbgrader's gradebook")
    targets = export.add_subparsers(dest="to", required=True)
    mine = targets.add_parser("mine", help="everything of yours that passed, as one module that needs no notebook")
    mine.add_argument("-o", "--out", type=Path, default=Path("my_vqvae.py"), help="the file: my_vqvae.py")
    mine.add_argument("--notebooks", type=Path, help="a folder of notebooks; without it, what passed on this machine")
    mine.add_argument("--force", action="store_true", help="replace the file if it is there")
    grades = targets.add_parser("nbgrader", help="a report's points, into a gradebook of nbgrader's")
    grades.add_argument("report", type=Path, help="what `vqtutor grade` wrote")
    grades.add_argument("--gradebook", default="sqlite:///gradebook.db", help="its database: sqlite:///gradebook.db")
    new = commands.add_parser("new-exercise", help="write an exercise's stub, its cells and their metadata")
    new.add_argument("lesson", help="its folder in vqtutor/lessons, such as losses")
    new.add_argument("name", help="of the function that students write")
    new.add_argument("--bonus", action="store_true", help="a puzzle at the lesson's end, whose points are in no total")
    doctor = commands.add_parser("doctor", help="say what is installed here and which data can be had")
    doctor.add_argument("--checks", action="store_true", help="measure every check, and print the table")
    doctor.add_argument(
        "--misconceptions", nargs="?", const="", metavar="EXERCISE", help="print how each misconception is rejected"
    )
    doctor.add_argument(
        "--mutants", nargs="?", const="", metavar="EXERCISE", help="change every answer a little, and see who notices"
    )
    doctor.add_argument("--write", action="store_true", help="with --mutants: keep what the checks observe of them")
    options = parser.parse_args(arguments)
    try:
        return globals()[f"_{options.command.replace('-', '_')}"](options)
    except (FileNotFoundError, KeyError, ValueError) as error:  # their messages are sentences for users
        sentence = error.args[0] if isinstance(error, KeyError) else error  # str(KeyError) has quotes
        print(_printable(f"vqtutor {options.command}: {sentence}"), file=sys.stderr)
        return 1


def _run(_) -> int:
    from vqtutor import authoring, course

    return course.run(authoring.course_folder())


def _site(_) -> int:
    from vqtutor import authoring, site

    folder = authoring.course_folder()
    notebooks = {path.stem: authoring.read(path) for path in authoring.lessons(folder)}
    faults = site.build(folder, notebooks, out := folder / "build" / "course")
    print(*faults, f"The pages are in {out / 'index.html'}", sep="\n")
    return int(bool(faults))


def _test(options) -> int:
    from vqtutor import authoring

    folder = authoring.course_folder()
    pytest = [sys.executable, "-m", "pytest"]
    path = [str(folder / "tests" / "without"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    if options.rest:
        return subprocess.run([*pytest, *options.rest], cwd=folder, env=environment).returncode
    # In parallel, because compiling uses one core, and one more than there are cores, because tests wait for kernels;
    # the longest tests first. More than four would fill the memory.
    workers = str(min((os.cpu_count() or 1) + 1, 4))
    pytest += ["--numprocesses", workers, "--dist", "loadscope", "--no-loadscope-reorder"]
    pytest += ["-p", "no:cacheprovider"]
    if options.proofs:
        return subprocess.run([*pytest, "-m", "proof", "tests"], cwd=folder, env=environment).returncode
    if options.quick:
        files = [str(Path("tests") / f"test_{name}.py") for name in _QUICK]
        return subprocess.run([*pytest, "-m", "not (long or proof)", *files], cwd=folder, env=environment).returncode
    pytest += ["-m", "not proof", "--nbval", "tests", "solutions"]
    return subprocess.run(pytest, cwd=folder, env=environment | authoring.quiet(folder, anew=True)).returncode


def _lab(_) -> int:
    from vqtutor import authoring

    command, environment = authoring.lab(authoring.course_folder())
    return subprocess.run(command, env=os.environ | environment).returncode


def _release(options) -> int:
    from vqtutor import authoring

    folder = authoring.course_folder()
    if options.check:
        drift = authoring.drift(folder)
        print("\n".join(drift) or "notebooks/ is what solutions/ gives.")
        return bool(drift)
    if options.execute:
        for name in authoring.execute_all(folder, authoring.quiet(folder, anew=True)):
            print(f"executed {name}")
    print(f"released {', '.join(authoring.release_all(folder))}")
    return 0


def _new_exercise(options) -> int:
    from vqtutor import authoring, scaffold

    files = scaffold.new_exercise(folder := authoring.course_folder(), options.lesson, options.name, options.bonus)
    print("Fill in:", *(f"  {file.relative_to(folder)}" for file in files), sep="\n")
    print(f"Then: vqtutor doctor --misconceptions {options.lesson}.{options.name}, and vqtutor release.")
    return 0


def _grade(options) -> int:
    if sys.platform == "win32":
        raise ValueError("Grading forks, which Windows cannot: run it in WSL.")
    if options.unsafe:
        print("No sandbox: answers run as you do. They can read and change your files, and use the network.")
    try:
        from vqtutor.grading.grade import grade
        from vqtutor.grading.owners import Roster
        from vqtutor.grading.sandbox import Limits, SandboxError

        limits, place, out = Limits(options.seconds, int(options.memory * 2**30)), options.submissions, options.out
        roster = Roster.read(options.roster) if options.roster else None
        book = grade(place, out, options.workers, limits, options.unsafe, options.scheduler, roster=roster)
    except ModuleNotFoundError as error:
        extra = "instructor" if options.scheduler is None else "cluster"
        raise ValueError(f"Grading needs {error.name}: install vqtutor[{extra}].") from error
    except SandboxError as error:
        raise ValueError(error) from error
    except KeyboardInterrupt:
        print(f"Stopped. Nothing is lost: the same command goes on from what is in {options.out}.")
        return 130
    print(f"{len(book.students())} students, {len(book.exercises())} exercises: {options.out / 'index.html'}")
    for file, sentence in book.damaged():
        print(_printable(f"{file}: {sentence}"))
    return 0


def _printable(text: str) -> str:
    """Return a text that does nothing to a terminal, whatever names of files are in it."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _export(options) -> int:
    if options.to == "mine":
        from vqtutor import mine

        mine.export(options.out, options.notebooks, options.force, lambda line: print(_printable(line), flush=True))
        return 0
    from vqtutor import authoring

    try:
        from vqtutor.grading import nbgrader

        count = nbgrader.export(options.report, options.gradebook, authoring.course_folder())
    except ModuleNotFoundError as error:
        raise ValueError(f"This needs {error.name}: install vqtutor[nbgrader].") from error
    print(f"Wrote {count} grades into {options.gradebook}.")
    return 0


def _doctor(options) -> int:
    if options.mutants is not None:
        return _try_mutants(options.mutants, options.write)
    if options.checks or options.misconceptions is not None:
        from vqtutor.lessons import EXERCISES, find

        fine = True
        if options.checks:
            _time_checks(EXERCISES)
        if options.misconceptions is not None:
            exercises = [find(options.misconceptions)] if options.misconceptions else EXERCISES.values()
            fine = _reject_misconceptions(exercises)
        return 0 if fine else 1
    from importlib.metadata import PackageNotFoundError, version

    print(f"python {sys.version.split()[0]}")
    for name in (
        "jax",
        "dm-haiku",
        "optax",
        "numpy",
        "matplotlib",
        "ipywidgets",
        "tensorflow-datasets",
        "array-record",
    ):
        try:
            print(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed")
    import jax

    from vqtutor.data.datasets import load_dataset
    from vqtutor.storage import cache_folder

    print(f"jax computes on {', '.join(str(device) for device in jax.devices())}; {os.cpu_count()} CPU cores")
    print(f"data and compiled programs are kept in {cache_folder()}")
    print(f"load_dataset() gives {load_dataset().description}")
    return 0


def _time_checks(exercises) -> None:
    """Print the times of an exercise's first check, of a second one, and of the slowest wrong answer."""
    from vqtutor.checking import judge

    print(f"{'exercise':32} {'first':>7} {'again':>7} {'slowest wrong':>14}")
    for id, exercise in exercises.items():
        answer = next(iter(exercise.alternatives.values()))
        first, again = _seconds(judge, exercise, answer), _seconds(judge, exercise, answer)
        judge(exercise, exercise.misconceptions[-1].answer)  # observes every misconception, which is cached
        wrong = max(_seconds(judge, exercise, misconception.answer) for misconception in exercise.misconceptions)
        print(f"{id:32} {first:6.2f}s {again:6.2f}s {wrong:13.2f}s")


def _try_mutants(id: str, write: bool) -> int:
    """Print what became of every mutant, and a table; return 1 where one was accepted.

    With `write`, what was observed of those that no misconception matches is kept, for checks to tell.
    """
    from vqtutor import mutants
    from vqtutor.lessons import EXERCISES, find
    from vqtutor.mutants import Fate

    table, unseen = [], Counter()
    for exercise in [find(id).id] if id else EXERCISES:
        trials = [mutants.trial(mutant, afresh=write) for mutant in mutants.mutants(exercise)]
        for one in trials:
            if one.fate in (Fate.SURVIVED, Fate.UNNAMED):
                print(f"{exercise}, {one.mutant.change}: {one.fate}. {one.message}".rstrip(), flush=True)
        if write:
            mutants.write(exercise, trials)
        table.append((exercise, Counter(one.fate for one in trials)))
        unseen.update(one.unseen for one in trials)
    print(f"\n{'exercise':34}" + "".join(f"{fate.name.lower():>10}" for fate in Fate))
    for exercise, count in [*table, ("all", sum((count for _, count in table), Counter()))]:
        print(f"{exercise:34}" + "".join(f"{count[fate]:10}" for fate in Fate))
    shares = {"by name": Fate.NAMED, "by relation": Fate.RELATED, "by neither": Fate.UNNAMED}
    told = sum(unseen[fate] for fate in shares.values()) or 1
    print("Told without known slips: " + ", ".join(f"{unseen[f] / told:.0%} {how}" for how, f in shares.items()))
    return int(any(count[Fate.SURVIVED] for _, count in table))


def _seconds(call, *arguments) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def _reject_misconceptions(exercises) -> bool:
    """Print a table of misconceptions; return whether each was rejected by name and all right answers passed."""
    from vqtutor.checking import judge

    fine = True
    for exercise in exercises:
        print(exercise.id)
        for misconception in exercise.misconceptions:
            for answer in (misconception.answer, *misconception.also):
                verdict = judge(exercise, answer)
                right = not verdict.passed and verdict.misconception == misconception.name
                fine = fine and right
                state = "rejected by name" if right else f"NOT SO: {verdict.state}, {verdict.misconception}"
                print(f"  {misconception.name:60} {verdict.points} of {verdict.max_points} points  {state}")
        print(f"  {len(exercise.alternatives)} right answers written differently:", end=" ")
        passed = sum(judge(exercise, answer).passed for answer in exercise.alternatives.values())
        fine = fine and passed == len(exercise.alternatives)
        print(f"{passed} accepted")
    return fine


if __name__ == "__main__":
    sys.exit(main())
