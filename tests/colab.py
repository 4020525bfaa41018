"""The whole course in Colab's own environment; `make colab` calls this, and `.ci/run` its quick form.

Under build/colab stands what a student meets there: Colab's Python and versions (colab-pins.txt), a kernel that has
imported `google.colab` before the first cell runs, a TensorFlow that nobody may import, and a folder with the wheel of
this checkout. The notebooks' own first cell installs it. Then every notebook, solved and blank, runs in the form that
Colab saves, on MNIST from a server on loopback and on the built-in digits, and what was saved is graded.
"""

import argparse
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from vqtutor import authoring
from vqtutor.data import files
from vqtutor.data.catalogue import MNIST
from vqtutor.lessons import EXERCISES

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "colab"
PYTHON = PLACE / "env" / "bin" / "python"
CONTENT = PLACE / "content"  # stands for Colab's /content: where notebooks run and uploads lie
PINS = Path(__file__).with_name("colab-pins.txt")
REAL = Path(os.environ.get("VQTUTOR_TEST_DATA", ROOT.parent / "shared" / "data"))
FIRST_CELL = 30  # seconds, kernel included

STAND_INS = {  # in site-packages
    "google/colab/__init__.py": "from google.colab import output\n",
    # Where no manager of custom widgets is enabled, or an output does not name it, Colab shows none.
    "google/colab/output.py": (
        "from types import SimpleNamespace\n\n_widgets = SimpleNamespace(_installed_url=None)\n\n\n"
        "def enable_custom_widget_manager():\n    _widgets._installed_url = 'https://manager.test'\n"
    ),
    "colab_kernel_launcher.py": (
        "import google.colab\nfrom ipykernel import kernelapp\n\nkernelapp.launch_new_instance()\n"
    ),
    "tensorflow/__init__.py": "import os\nos._exit(7)  # no lesson may import it\n",
}
_VIEW = "application/vnd.jupyter.widget-view+json"
# What no student should have to read: a library's log or warning; that MNIST, which is served, could not be had.
_NOISE = re.compile(r"^(?:.*(?:ERROR|Error:|WARN|Warning:).*|MNIST is not .*)$", re.MULTILINE)


class Failed(Exception):
    """A sentence on what would go wrong in Colab."""


def pins() -> dict[str, str]:
    """Return {package: version} of what Colab has."""
    lines = [line for line in PINS.read_text().splitlines() if line and line[0] != "#"]
    return {_plain(name): version for name, version in (line.split("==") for line in lines)}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions() -> dict[str, str]:
    """Return {package: version} of what the environment has."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    out = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout
    return {_plain(name): version for name, version in json.loads(out).items()}


def added() -> dict[str, str]:
    """Return what the environment has beyond Colab's own.

    Raises:
      Failed: Colab's own is not what it was.
    """
    wanted, have = pins(), versions()
    if changed := [f"{name} {have.get(name)}, not {wanted[name]}" for name in wanted if have.get(name) != wanted[name]]:
        raise Failed(f"What Colab has was changed: {'; '.join(changed)}.")
    return {name: version for name, version in have.items() if name not in wanted}


def find_python() -> str:
    """Return a Python 3.13, which Colab has; this one, with a notice, where none is to be found."""
    homes = [Path(os.environ.get("PYENV_ROOT") or "~/.pyenv"), Path("~/.local/share/uv")]
    kept = sorted(path for home in homes for path in home.expanduser().glob("*/*3.13*/bin/python"))
    for candidate in [*filter(None, map(shutil.which, ("python3.13", "python3"))), *reversed(kept)]:
        code = "import sys, ensurepip; print(*sys.version_info[:2])"
        if subprocess.run([candidate, "-c", code], capture_output=True, text=True).stdout.split() == ["3", "13"]:
            return str(candidate)  # it runs, which not everything of that name does
    print(f"There is no Python 3.13 here, as Colab has: Python {sys.version.split()[0]} stands in.")
    return sys.executable


def uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True)


def build() -> None:
    """Make build/colab anew: Colab's versions, what stands in for the rest of it, and the wheel of this checkout."""
    shutil.rmtree(PLACE, ignore_errors=True)
    CONTENT.mkdir(parents=True)
    uv("venv", "--python", find_python(), PLACE / "env")
    uv("pip", "install", "--python", PYTHON, "--no-deps", "-r", PINS)  # whatever they say of one another
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([PYTHON, "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    for name, text in STAND_INS.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    kernel = {
        "argv": [str(PYTHON), "-m", "colab_kernel_launcher", "-f", "{connection_file}"],
        "env": {"PYDEVD_DISABLE_FILE_VALIDATION": "1"},  # the debugger's word on every start
        "display_name": "Python 3",
        "language": "python",
    }
    (PLACE / "jupyter" / "kernels" / "python3").mkdir(parents=True)
    (PLACE / "jupyter" / "kernels" / "python3" / "kernel.json").write_text(json.dumps(kernel))
    uv("build", "--wheel", "--out-dir", PLACE / "dist", ROOT)
    if added():
        raise Failed(f"{PINS.name} and the environment differ: {', '.join(added())}.")


@contextmanager
def serve() -> Iterator[str]:
    """Serve MNIST, where its files are here, and this checkout as an archive; yield the address."""
    web = PLACE / "web"
    (web / "archive").mkdir(parents=True)
    if files.find(MNIST, [REAL / "mnist"]):
        (web / "mnist").symlink_to(REAL / "mnist")
    archive = ["git", "archive", "--prefix", "vqtutor-main/", "--output", web / "archive" / "HEAD.zip", "HEAD"]
    subprocess.run(archive, cwd=ROOT, check=True)
    handler = functools.partial(_Handler, directory=str(web))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None: ...


def as_colab_saves(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Return a notebook as Colab writes it: format 4.0, no cell ids, no attachments, metadata of its own."""
    saved = nbformat.from_dict(notebook)
    saved.nbformat, saved.nbformat_minor = 4, 0
    colab = {"name": f"{name}.ipynb", "provenance": [], "toc_visible": True}
    kernel = {"name": "python3", "display_name": "Python 3"}
    saved.metadata = nbformat.from_dict({"colab": colab, "kernelspec": kernel, "language_info": {"name": "python"}})
    for number, cell in enumerate(saved.cells):
        cell.pop("id", None)
        cell.pop("attachments", None)
        cell.metadata["id"] = hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:12]
        if cell.get("outputs"):
            cell.metadata["outputId"] = hashlib.sha256(f"{name} {number} out".encode()).hexdigest()[:36]
    return saved


def execute(notebook: nbformat.NotebookNode, name: str, home: str, environment: dict[str, str], on_cell=lambda: None):
    """Run a notebook as Colab opened it; return it as Colab saves it."""
    around = {"HOME": str(PLACE / "home" / home), "XDG_CACHE_HOME": str(PLACE / "cache"), "no_proxy": "127.0.0.1"}
    around |= {"XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))}  # where pip looks
    Path(around["HOME"]).mkdir(parents=True, exist_ok=True)
    return as_colab_saves(
        authoring.execute(as_colab_saves(notebook, name), around | environment, CONTENT, on_cell), name
    )


def first_cell(address: str) -> str:
    """Run the first cell, with `address` for the repository's; return what kept the cells below it from running."""
    notebook = authoring.read(ROOT / "notebooks" / "00_start_here.ipynb")
    (setup,) = [cell for cell in notebook.cells if authoring.about(cell).get("role") == "setup"]
    setup.source = setup.source.replace(authoring.repository(ROOT), address)
    notebook.cells = [setup, nbformat.v4.new_code_cell("import haiku, vqtutor")]
    try:
        execute(notebook, "first", "first", {})
    except CellExecutionError as error:
        return error.evalue
    return ""


def try_first_cell(address: str) -> None:
    """Hold the first cell to its sentence where vqtutor cannot be had, and to installing it where it can.

    At the end vqtutor is not installed, and its wheel lies uploaded beside older ones.
    """
    said = first_cell(f"{address}/nowhere")
    if not said.startswith("vqtutor could not be installed. Upload") or "404" not in said:
        raise Failed(f"With no vqtutor to be had, the first cell said: {said}")
    if said := first_cell(address):
        raise Failed(f"From an archive of the repository, the first cell did not install vqtutor: {said}")
    uv("pip", "uninstall", "--python", PYTHON, *added())
    for older in ("0.0.9", "0.0.10"):
        (CONTENT / f"vqtutor-{older}-py3-none-any.whl").write_text("Whoever takes this one fails.")
    shutil.copy(next((PLACE / "dist").glob("*.whl")), CONTENT)


@dataclass
class Row:
    """One notebook on one data set.

    Attributes:
      folder: "solutions" or "notebooks".
      name: of the lesson.
      data: "mnist" or "strokes".
      steps: of its trainings at most; "" for all.
      seconds: what it took, kernel included.
      first: what its first cell took of these, with the kernel's start.
      busy: what it took of the processors, which other work on the machine leaves nearly as it is.
    """

    folder: str
    name: str
    data: str
    steps: str = ""
    seconds: float = 0.0
    first: float = 0.0
    busy: float = 0.0

    @property
    def student(self) -> str:
        return f"{self.folder} on {self.data}"

    def __str__(self) -> str:
        return f"{self.folder}/{self.name} on {self.data}"

    def exercises(self) -> list[str]:
        return [id for id, exercise in EXERCISES.items() if exercise.lesson == self.name]

    def run(self, environment: dict[str, str]) -> Iterator[str]:
        """Run it and save it to be graded; yield, in a sentence each, what was wrong."""
        notebook = authoring.read(ROOT / self.folder / f"{self.name}.ipynb")
        log, ends, start, busy = PLACE / "log.jsonl", [], time.monotonic(), os.times()
        log.unlink(missing_ok=True)
        environment = environment | {"VQTUTOR_LOG": str(log), "VQTUTOR_MAX_STEPS": self.steps}
        try:
            done = execute(notebook, self.name, self.student, environment, lambda: ends.append(time.monotonic()))
        except CellExecutionError as error:
            yield f"{self} stopped: {error.ename}: {error.evalue}"
            return
        except (CellTimeoutError, DeadKernelError) as error:
            yield f"{self} stopped: {error}"
            return
        finally:
            self.seconds, self.first = time.monotonic() - start, (ends or [time.monotonic()])[0] - start
            self.busy = sum(os.times()[2:4]) - sum(busy[2:4])
            print(f"{self.folder:10} {self.name:20} {self.data:8} {self.seconds:8.1f} {self.busy:8.1f}", flush=True)
        authoring.write(done, PLACE / "submissions" / self.student / f"{self.name}.ipynb")
        verdicts = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        states = {verdict["exercise"]: verdict["state"] for verdict in verdicts}
        wanted = "passed" if self.folder == "solutions" else "not written yet"
        yield from (
            f"{self}: {id} is {states.get(id)}, not {wanted}." for id in self.exercises() if states.get(id) != wanted
        )
        outputs = [output for cell in done.cells for output in cell.get("outputs", []) if "data" in output]
        for output in outputs:
            if _VIEW in output.data and "image/png" in output.data and _VIEW not in output.metadata:
                yield f"{self}: an explorer does not name the manager of widgets that Colab needs."
        if self.first > FIRST_CELL:
            yield f"{self}: the first cell took {self.first:.0f} s, over {FIRST_CELL}."
        if self.folder == "notebooks":
            yield from (f"{self}, {fault}" for fault in self.blanks(notebook, done, verdicts))
        said = "\n".join(output.get("text", "") for cell in done.cells for output in cell.get("outputs", []))
        if said.count("drive.mount(") != 1:
            yield f"{self}: how to keep progress is said {said.count('drive.mount(')} times, not once."
        if not self.steps:  # means over steps that are not run are warned of, and rightly
            yield from (f"{self}: a cell says {line.strip()!r}" for line in _NOISE.findall(said))

    def blanks(self, notebook, done, verdicts) -> Iterator[str]:
        """Yield what a student who has written nothing yet would miss: points for nothing, or another lesson below."""
        checks = [cell for cell in notebook.cells if authoring.about(cell).get("role") == "check"]
        asked = [authoring.about(cell)["exercise"] for cell in checks]
        if [verdict["exercise"] for verdict in verdicts] != asked or any(verdict["points"] for verdict in verdicts):
            yield f"verdicts: {[(verdict['exercise'], verdict['points']) for verdict in verdicts]}."
        solution = solved = authoring.read(ROOT / "solutions" / f"{self.name}.ipynb")
        if self.data != "strokes":  # the stored outputs are of the built-in digits
            solved = authoring.read(PLACE / "submissions" / f"solutions on {self.data}" / f"{self.name}.ipynb")
        wanted = {cell.id: texts(run) for cell, run in zip(solution.cells, solved.cells, strict=True)}
        varies = {cell.id for cell in solution.cells if "nbval-ignore-output" in cell.metadata.get("tags", [])}
        trained = False
        for cell, run in zip(notebook.cells, done.cells, strict=True):
            role, shown = authoring.about(cell).get("role"), texts(run)
            trained = trained or "vqtutor.fit(" in cell.source or "train_codec(" in cell.source
            if role == "check" and not ("not written yet" in shown and "use the course's own" in shown):
                yield f"cell {cell.id}: it does not say whose answer is used below."
            if role == "code" and cell.id not in varies and not trained and shown != wanted[cell.id]:
                yield f"cell {cell.id}: what stands in for open blanks shows {shown!r}, not {wanted[cell.id]!r}."


def texts(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed and showed, as text."""
    outputs = cell.get("outputs", [])
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    printed = re.sub(r".*drive\.mount\(.*\n", "", printed)  # which is said once, wherever the first card is
    shown = "\n".join([printed, *(output.data.get("text/plain", "") for output in outputs if "data" in output)])
    return re.sub(r"\d+\.\d+", "(number)", shown)  # whose last digits depend on versions


def grade(rows: list[Row]) -> Iterator[str]:
    """Grade what was saved, with the instructor's own vqtutor; yield where points are not what they should be."""
    from test_grading import WHY_NOT

    command = ["grade", PLACE / "submissions", "--out", PLACE / "report", *(["--unsafe"] if WHY_NOT else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "vqtutor.cli", *command], cwd=ROOT, env=environment, check=True)
    grades = json.loads((PLACE / "report" / "grades.json").read_text())["students"]
    for row in rows:
        entry = grades.get(row.student, {})
        given = entry.get("exercises", {}) | entry.get("bonus", {})
        for id in row.exercises():
            points, wanted = given.get(id, {}).get("points"), EXERCISES[id].points * (row.folder == "solutions")
            if points != wanted:
                yield f"{row}, as Colab saved it: {id} is graded {points} points, not {wanted}."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train less, on one data set")
    quick = parser.parse_args().quick
    for name in [name for name in os.environ if name.startswith("VQTUTOR_") or name == "PYTHONPATH"]:
        del os.environ[name]
    os.environ["JUPYTER_PATH"] = str(PLACE / "jupyter")  # where the kernel "python3" is Colab's
    try:
        build()
        with serve() as address:
            try_first_cell(address)
            data = {"mnist": {"VQTUTOR_MIRROR": f"{address}/"}, "strokes": {"VQTUTOR_DATASET": "strokes"}}
            if not (PLACE / "web" / "mnist").exists():
                print(f"Nothing runs on MNIST: its four files are not in {REAL / 'mnist'}.")
                del data["mnist"]
            lessons = [path.stem for path in authoring.lessons(ROOT)]
            rows = [Row(folder, name, one) for one in data for folder in ("solutions", "notebooks") for name in lessons]
            if quick:  # nbval runs all solutions
                rows = [Row("solutions", name, next(iter(data)), "3") for name in lessons[:3]]
                rows += [Row("notebooks", name, "strokes", "3") for name in lessons]
            print(f"{'':10} {'notebook':20} {'data':8} {'seconds':>8} {'of CPU':>8}")
            wrong = [said for row in rows for said in row.run(data[row.data])]
        new = added()
        wrong += grade(rows)
    except (Failed, subprocess.CalledProcessError) as failed:
        print(f"Failed: {failed}")
        return 1
    print(f"\nThe first cell took {rows[0].first:.1f} s, a kernel's start included, and added {len(new)} packages:")
    print(", ".join(f"{name} {version}" for name, version in sorted(new.items())))
    print(f"Versions unchanged: all {len(pins())} of Colab's own.")
    print(
        "\n".join(f"Failed: {said}" for said in wrong)
        or f"All {len(rows)} notebooks ran, and were graded as they should be."
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
