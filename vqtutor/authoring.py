"""solutions/ -> notebooks/: answers become blanks, outputs are removed, and metadata for graders are added.

In solutions/, the cell of a free-text answer holds a model answer and a rubric, which are nowhere else: the package is
installed by students.

The role of a solution's cell is in `metadata.vqtutor.role`. Badges, the set-up cell, nbgrader's metadata and the
picture in the opening are derived from the roles, and never edited by hand.
"""

import ast
import base64
import copy
import hashlib
import io
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from vqtutor.lessons import EXERCISES, FREE_TEXTS, LESSONS, QUESTIONS
from vqtutor.lessons.answers import BEGIN, END, REGION, blank, cell_of
from vqtutor.storage import whole_file

ROLES = {
    *("badges", "setup", "opening", "picture", "text", "code", "header", "answer", "check", "ask", "question"),
    *("free_text_header", "free_text"),
}
_DERIVED = ("badges", "setup", "picture")
_PICTURE_BYTES = 60_000
_WORK = re.compile(r"^\*[^*\n]*difficulty[^*\n]*\*.*$", re.MULTILINE)  # a header's line about what its exercise takes
FREE_TEXT_HEADING, NO_TEXT = "### In your own words", "*Write your answer here.*"
_RUBRIC = re.compile(
    r"\*\*A model answer\.\*\* (?P<model>.+?)\n\n"
    r"(?P<rubric>\*\*What earns points\.\*\*\n\n(?P<points>.+?)\n\n"
    r"\*\*What earns a part\.\*\*\n\n.+?\n\n\*\*What earns nothing\.\*\* .+)",
    re.DOTALL,
)

_SETUP = """\
# In Colab this installs vqtutor, and leaves all that Colab has as it is. Where vqtutor is installed, it does nothing.
import glob
import subprocess
import sys
from importlib.util import find_spec

if getattr(find_spec("vqtutor"), "origin", None) is None:
    from packaging.version import Version

    uploaded = sorted(glob.glob("vqtutor-*-any.whl"), key=lambda name: Version(name.split("-")[1]))
    source = uploaded[-1] if uploaded else "{archive}"
    if "google.colab" not in sys.modules:
        sys.exit(f"vqtutor is not installed here. Install it in a terminal: pip install {{source}}")
    pip = subprocess.run([sys.executable, "-m", "pip", "install", "-qq", source], capture_output=True, text=True)
    if pip.returncode:
        sys.exit(
            "vqtutor could not be installed. Upload its file, vqtutor-*.whl, under Files on the left, "
            f"and run this cell again. What pip said:\\n{{pip.stderr}}"
        )\
"""


def course_folder() -> Path:
    """Return the folder that holds `solutions/`: the working directory, or the one that holds this package.

    Raises:
      FileNotFoundError: neither has it; the message is a sentence.
    """
    for folder in (Path.cwd(), Path(__file__).parents[1]):
        if (folder / "solutions").is_dir():
            return folder
    raise FileNotFoundError("There is no folder 'solutions' here: run this in a clone of the course's repository.")


def quiet(folder: Path, anew: bool = False) -> dict[str, str]:
    """Return environment variables for a run on the built-in data that does not change the user's progress file.

    With `anew`, progress and ledger of the last such run are forgotten: cards say how far a lesson has come.
    """
    progress = folder / "build" / "reference-progress.json"
    if anew:
        for file in (progress, progress.with_suffix(".ledger.json")):
            file.unlink(missing_ok=True)
    names = {"VQTUTOR_DATASET": "strokes", "VQTUTOR_PROGRESS_BAR": "off", "VQTUTOR_PICTURES": "png"}
    return names | {"VQTUTOR_PROGRESS": str(progress)}


def lab(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command that opens the first lesson in JupyterLab, and the variables it needs.

    JupyterLab's settings for the course, which ask about no news, come before others' and after the student's own.
    """
    first = folder / "notebooks" / f"{LESSONS[0].notebook}.ipynb"
    path = [str(Path(__file__).with_name("jupyter")), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return [sys.executable, "-m", "jupyter", "lab", str(first)], {"JUPYTER_CONFIG_PATH": os.pathsep.join(path)}


def lessons(folder: Path) -> list[Path]:
    """Return the course's solution notebooks that are there, in order."""
    paths = [folder / "solutions" / f"{lesson.notebook}.ipynb" for lesson in LESSONS]
    return [path for path in paths if path.is_file()]


def repository(folder: Path) -> str:
    """Return the repository's address, from pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def badges(folder: Path) -> str:
    """Return pictures that open the first lesson in Colab and Binder, as Markdown for the README."""
    colab, binder = addresses(folder, "00_start_here")
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n"
        f"[![Launch Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def addresses(folder: Path, notebook: str) -> tuple[str, str]:
    """Return where a student notebook opens in Colab and in Binder."""
    path = f"notebooks/{notebook}.ipynb"
    name = repository(folder).removeprefix("https://github.com/")
    return (
        f"https://colab.research.google.com/github/{name}/blob/main/{path}",
        f"https://mybinder.org/v2/gh/{name}/main?labpath={path.replace('/', '%2F')}",
    )


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Validate a notebook and write it, see `whole_file`."""
    nbformat.validate(notebook)
    with whole_file(path) as file:
        file.write(f"{nbformat.writes(notebook)}\n".encode())


def rubrics(folder: Path) -> dict[str, tuple[str, str]]:
    """Return {free-text question: (model answer, rubric)} as Markdown, from the solutions in a course's folder."""
    found = {}
    for path in lessons(folder):
        for cell in read(path).cells:
            if about(cell).get("role") == "free_text" and (match := _RUBRIC.fullmatch(cell.source)):
                found[about(cell)["question"]] = match["model"], match["rubric"]
    return found


def about(cell: NotebookNode) -> dict[str, Any]:
    """Return a cell's metadata under "vqtutor": role, exercise, question, points, shows."""
    return cell.metadata.get("vqtutor", {})


def stamp(notebook: NotebookNode, name: str, folder: Path) -> NotebookNode:
    """Return a solution notebook with its derived parts: badges, set-up cell, picture, nbgrader's metadata."""
    notebook = copy.deepcopy(notebook)
    cells = [cell for cell in notebook.cells if about(cell).get("role") not in _DERIVED]
    # In words: a badge's picture would be fetched from another server whenever the notebook is opened.
    links = "[Open in Colab]({}) or [launch in Binder]({})".format(*addresses(folder, name))
    top = nbformat.v4.new_markdown_cell(links, id="badges", metadata={"vqtutor": {"role": "badges"}})
    setup = nbformat.v4.new_code_cell(
        _SETUP.format(archive=f"{repository(folder)}/archive/HEAD.zip"),
        id="setup",
        metadata={"vqtutor": {"role": "setup"}},
    )
    opening = sum(about(cell).get("role") == "opening" for cell in cells[:1])
    notebook.cells = [*cells[:opening], *_picture(notebook, folder), top, setup, *cells[opening:]]
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)
        if graded := _nbgrader(cell):
            cell.metadata["nbgrader"] = {"schema_version": 3, "task": False, **graded}
    return notebook


def opening_picture(notebook: NotebookNode, folder: Path) -> NotebookNode | None:
    """Return the output whose picture opens a lesson, or None if there is no such output yet.

    The opening's metadata name the cell that draws it: "cell", or "lesson/cell" of another lesson.
    """
    shows = next((about(cell).get("shows", "") for cell in notebook.cells if about(cell).get("role") == "opening"), "")
    lesson, _, id = shows.rpartition("/")
    other = folder / "solutions" / f"{lesson}.ipynb"
    cells = (read(other).cells if other.is_file() else []) if lesson else notebook.cells
    outputs = [output for cell in cells if cell.id == id for output in cell.get("outputs", [])]
    return next((output for output in outputs if "image/png" in output.get("data", {})), None)


def _picture(notebook: NotebookNode, folder: Path) -> list[NotebookNode]:
    """Return a cell with the picture that opens a lesson, taken from outputs; no cell if there is no such output yet.

    It is a data: link in Markdown, which Colab, Jupyter and nbconvert show, also offline. Colab does not show
    attachments, and the output of code would not be visible before it runs.
    """
    output = opening_picture(notebook, folder)
    if output is None:
        return []
    png, alt = base64.b64decode(output.data["image/png"]), output.metadata["image/png"]["alt"]
    of = hashlib.sha256(png).hexdigest()[:16]  # an unchanged picture keeps its bytes with any version of Pillow
    for cell in notebook.cells:
        if about(cell).get("of") == of and f"![{alt}](" in cell.source:
            return [cell]
    source = f"![{alt}](data:image/png;base64,{base64.b64encode(_small(png)).decode()})"
    return [nbformat.v4.new_markdown_cell(source, id="picture", metadata={"vqtutor": {"role": "picture", "of": of}})]


def _small(png: bytes) -> bytes:
    """Return a picture with as many colours, 256 to 16, as keep it below _PICTURE_BYTES."""
    from PIL import Image

    for colours in (256, 128, 64, 32, 16):
        file = io.BytesIO()
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        picture.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() < _PICTURE_BYTES:
            break
    return file.getvalue()


def _nbgrader(cell: NotebookNode) -> dict[str, Any] | None:
    metadata, role = about(cell), about(cell).get("role")
    if role in ("answer", "question"):  # a question earns no points, but its answer is cleared
        return {"grade": False, "solution": True, "locked": False, "grade_id": cell.id}
    if role == "check":
        points = EXERCISES[metadata["exercise"]].points
        if EXERCISES[metadata["exercise"]].bonus:  # nbgrader would add its points to the assignment's most
            return None
        return {"grade": True, "solution": False, "locked": True, "grade_id": cell.id, "points": points}
    if role == "free_text":
        return {"grade": True, "solution": True, "locked": False, "grade_id": cell.id, "points": metadata["points"]}
    return None


def release(notebook: NotebookNode, name: str, folder: Path) -> NotebookNode:
    """Return the student's notebook: stamped, with blanks in place of answers, without outputs."""
    student = stamp(notebook, name, folder)
    student.metadata = nbformat.from_dict(
        {"kernelspec": student.metadata["kernelspec"], "language_info": {"name": "python"}}
    )
    for cell in student.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in ("vqtutor", "nbgrader")})
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = blank(cell.source), [], None
        elif about(cell).get("role") == "free_text":
            cell.source = NO_TEXT
    return student


def faults(notebook: NotebookNode) -> Iterator[str]:
    """Yield a sentence for each fault of a solution notebook."""
    cells = notebook.cells
    ids = [cell.id for cell in cells]
    yield from (f"two cells have the id {id!r}." for id in sorted({id for id in ids if ids.count(id) > 1}))
    for i, cell in enumerate(cells):
        metadata, role = about(cell), about(cell).get("role")
        if role not in ROLES:
            yield f"cell {cell.id!r} has the role {role!r}, which is none of {', '.join(sorted(ROLES))}."
        if cell.cell_type == "code":
            yield from _faults_of_code(cell, role)
        if role in ("answer", "check", "header") and metadata.get("exercise") not in EXERCISES:
            yield f"cell {cell.id!r} names the exercise {metadata.get('exercise')!r}, which does not exist."
        elif role == "answer":
            roles = [about(neighbour).get("role") for neighbour in cells[max(i - 1, 0) : i + 2]]
            others = {about(neighbour).get("exercise") for neighbour in cells[max(i - 1, 0) : i + 2]}
            if roles != ["header", "answer", "check"] or len(others) != 1:
                yield f"{metadata['exercise']} must have its header right above its blank and its check right below."
            if not EXERCISES[metadata["exercise"]].hints:
                yield f"{metadata['exercise']} has no hint."
        elif role == "header" and not _WORK.search(cell.source):
            yield f"the header of {metadata['exercise']} has no line for what it takes: write '*difficulty*' there."
        elif role == "check" and f'vqtutor.check("{metadata["exercise"]}", ' not in cell.source:
            yield f"the check of {metadata['exercise']} does not call vqtutor.check with its name."
        elif role == "ask":
            question = QUESTIONS[metadata["question"]]
            texts = [question.asks, *(f"- {letter}) {words}" for letter, (words, _) in question.choices.items())]
            yield from (f"{metadata['question']} must show: {text}" for text in texts if text not in cell.source)
        elif role in ("free_text_header", "free_text"):
            yield from _faults_of_free_text(cell, role)
        elif role == "opening" and metadata.get("shows", "") not in ids and "/" not in metadata.get("shows", ""):
            yield f"the opening shows the cell {metadata.get('shows')!r}, which does not exist."


def _faults_of_free_text(cell: NotebookNode, role: str) -> Iterator[str]:
    id = about(cell).get("question")
    if id not in FREE_TEXTS:
        yield f"cell {cell.id!r} names the free-text question {id!r}, which does not exist."
        return
    asks, points, rubric = FREE_TEXTS[id].asks, FREE_TEXTS[id].points, _RUBRIC.fullmatch(cell.source)
    if role == "free_text_header":
        if asks not in " ".join(cell.source.split()):
            yield f"{id} must show: {asks}"
    elif about(cell).get("points") != points:
        yield f"the cell of {id} must have {points} points, as its question has."
    elif not rubric:
        yield f"the cell of {id} must hold a model answer, and what earns points, a part and nothing."
    elif sum(map(int, re.findall(r"^- (\d+) points?: ", rubric["points"], re.MULTILINE))) != points:
        yield f"the rubric of {id} must give away {points} points, in lines like '- 1 point: says why'."


def _faults_of_code(cell: NotebookNode, role: str) -> Iterator[str]:
    regions = len(REGION.findall(cell.source))
    if cell.source.count(BEGIN) != regions or cell.source.count(END) != regions:
        yield f"cell {cell.id!r} has solution marks that do not pair up."
    if regions != (role in ("answer", "question")):
        yield f"cell {cell.id!r} has the role {role!r} and {regions} blanks."
    if role == "setup":
        return
    try:
        tree = ast.parse(blank(cell.source))
    except SyntaxError as error:
        yield f"cell {cell.id!r} with its answer blanked is not Python: {error.msg} in line {error.lineno}."
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "alt" and len(getattr(node.value, "value", "")) > 60:
            yield f"cell {cell.id!r} holds a long alternative text: move it into vqtutor/show/alts.toml."
        if isinstance(node, ast.FunctionDef) and role == "code" and node.end_lineno - node.lineno >= 10:
            yield f"cell {cell.id!r} holds a helper of over ten lines, {node.name}: move it into vqtutor."


def leaks(notebook: NotebookNode, student: NotebookNode) -> Iterator[str]:
    """Yield every line of an answer or a rubric that occurs in the student's notebook."""
    readable = "\n".join(cell.source + str(cell.get("outputs", "")) for cell in student.cells)
    for cell in notebook.cells:
        answers = [answer for _, answer in REGION.findall(cell.source)] if about(cell).get("role") == "answer" else []
        answers += [cell.source] if about(cell).get("role") == "free_text" else []
        for line in "\n".join(answers).splitlines():
            if len(line.strip()) > 12 and line.strip() in readable:
                yield f"{about(cell).get('exercise') or about(cell).get('question')}: {line.strip()}"


def answered(notebook: NotebookNode) -> NotebookNode:
    """Return a solution notebook with the lessons' answers in its cells, and in its headers what exercises take."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if about(cell).get("role") == "answer":
            cell.source = cell_of(about(cell)["exercise"])
        elif about(cell).get("role") == "header" and about(cell).get("exercise") in EXERCISES:
            line = str(EXERCISES[about(cell)["exercise"]].work)
            cell.source = _WORK.sub(line.replace("\\", r"\\"), cell.source, count=1)
    return notebook


def drift(folder: Path) -> list[str]:
    """Return a sentence for each difference between notebooks/ and a release of solutions/."""
    sentences, names = [], {path.name for path in lessons(folder)}
    for path in lessons(folder):
        solution, student = read(path), folder / "notebooks" / path.name
        if answered(stamp(solution, path.stem, folder)) != solution:
            sentences.append(f"solutions/{path.name} lacks derived cells, answers or metadata: run `make release`.")
        if not student.is_file():
            sentences.append(f"notebooks/{path.name} is missing: run `make release`.")
        elif read(student) != release(solution, path.stem, folder):
            sentences.append(f"notebooks/{path.name} is not what solutions/ gives: run `make release`.")
    strays = {path.name for path in (folder / "notebooks").glob("*.ipynb")} - names
    return sentences + [f"notebooks/{name} has no solution: remove it." for name in sorted(strays)]


def release_all(folder: Path) -> list[str]:
    """Stamp every solution and write its student notebook.

    Raises:
      ValueError: a lesson has faults or an answer leaks; nothing is written then.
    """
    notebooks, errors = {}, []
    for path in lessons(folder):
        solution = read(path)
        if sentences := [f"{path.name}: {fault}" for fault in faults(solution)]:
            errors += sentences
            continue
        solution = answered(stamp(solution, path.stem, folder))
        student = release(solution, path.stem, folder)
        errors += [f"{path.name} gives an answer away: {leak}" for leak in leaks(solution, student)]
        notebooks[path] = solution, student
    if errors:
        raise ValueError("\n".join(errors))
    for path, (solution, student) in notebooks.items():
        write(solution, path)
        write(student, folder / "notebooks" / path.name)
    return [path.stem for path in notebooks]


def execute(
    notebook: NotebookNode,
    environment: dict[str, str],
    folder: Path,
    on_cell: Callable[[], None] = lambda: None,
    allow_errors: bool = False,
) -> NotebookNode:
    """Run a notebook in a kernel of its own and return a copy with outputs.

    Args:
      notebook: not changed.
      environment: variables for the kernel, added to this process's.
      folder: where the kernel runs.
      on_cell: called after every cell.
      allow_errors: go on after a cell that fails.
    Raises:
      nbclient.exceptions.CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient
    from traitlets.config import Config

    notebook, config = copy.deepcopy(notebook), Config()
    with tempfile.TemporaryDirectory() as sockets:
        if os.name == "posix":  # sockets in the file system need no network, not even a local one
            config.ConnectionFileMixin.transport = "ipc"
            config.ConnectionFileMixin.connection_file = os.path.join(sockets, "kernel.json")
        client = NotebookClient(
            notebook,
            config=config,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            allow_errors=allow_errors,
            record_timing=False,
            on_cell_executed=lambda **_: on_cell(),
        )
        client.execute(env=os.environ | environment)
    return notebook


def still(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook that can be read without a kernel: with pictures in place of widgets."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


def execute_all(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run every solution and store its outputs; yield its name after that."""
    for path in lessons(folder):
        notebook = execute(answered(stamp(read(path), path.stem, folder)), environment, folder)
        notebook = stamp(still(notebook), path.stem, folder)
        notebook.metadata = nbformat.from_dict(
            {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
        )
        write(notebook, path)
        yield path.stem
