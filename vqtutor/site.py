"""The course as pages to read: executed solutions with folded answers, the documents, and the library's reference.

Sphinx with MyST-NB builds them, which reads notebooks as they are and docstrings where they stand, and needs neither a
network nor Node.js; Jupyter Book 2 needs both, and has no reference of Python. Its settings are in docs/site/.
"""

import base64
import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from html import escape
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from vqtutor import authoring
from vqtutor.lessons.answers import answer_of, blank


def require() -> None:
    """Raise ValueError, with a sentence, where what makes the pages is not installed."""
    for module in ("sphinx", "myst_nb", "furo", "latex2mathml", "ziamath"):
        if find_spec(module) is None:
            raise ValueError(f"The pages need {module}: pip install -e '.[site]'")


def build(folder: Path, notebooks: dict[str, NotebookNode], out: Path, report: Path | None = None) -> list[str]:
    """Build the site.

    Args:
      folder: the course's.
      notebooks: name -> an executed solution, in order.
      out: where the pages come to; what was there is removed.
      report: a folder with report.md, one more page, and its picture.
    Returns: what went wrong, a line each; the pages are there nevertheless.
    """
    require()
    source = folder / "build" / "site"
    for place in (source, out):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder / "docs", source / "docs", ignore=shutil.ignore_patterns("site"))
    shutil.copytree(folder / "docs" / "site", source, dirs_exist_ok=True)
    for picture in (folder / "benchmarks").glob("*.png"):  # the measurements show them
        (source / "benchmarks").mkdir(exist_ok=True)
        shutil.copy(picture, source / "benchmarks")
    (source / "lessons").mkdir()
    if (folder / "notebooks").is_dir():  # for students to take along
        shutil.copytree(folder / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns(".*"))
    for name, notebook in notebooks.items():
        authoring.write(page(notebook, name, folder, notebooks), source / "lessons" / f"{name}.ipynb")
    for file in (report / "report.md", *report.glob("*.png")) if report else ():
        shutil.copy(file, source)
    index = (source / "index.md").read_text(encoding="utf-8")
    for mark, text in _front(folder, notebooks, source, bool(report)).items():
        index = index.replace(mark, text)
    (source / "index.md").write_text(index, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(source), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    shutil.rmtree(out / ".doctrees", ignore_errors=True)
    for stray in (out / ".buildinfo", out / "objects.inv"):
        stray.unlink(missing_ok=True)
    # A path of this machine says nothing to whoever reads the message.
    return [line.replace(f"{source}/", "") for line in done.stderr.splitlines() if line.strip()]


def _front(folder: Path, notebooks: dict[str, NotebookNode], source: Path, report: bool) -> dict[str, str]:
    """Return what the front page's marks stand for: the first picture, a list of the lessons, and all pages."""
    rows = []
    for name, notebook in notebooks.items():
        opening = notebook.cells[0].source
        time = re.search(r"\*\*Time:\*\*\s+(.+?)\.", opening)
        result = re.search(r"\*\*The result:\*\*\s+(.+)", opening, re.DOTALL)
        facts = [time[1] if time else "", " ".join(result[1].split()) if result else ""]
        rows.append(f"| [{_title(notebook)}](lessons/{name}.ipynb) | {facts[0]} | {facts[1].rstrip('.')} |")
    # The first lesson opens with what the last one draws.
    openings = [authoring.opening_picture(notebook, folder) for notebook in notebooks.values()]
    cells = [cell for notebook in notebooks.values() for cell in notebook.cells]
    others = [one for cell in cells for one in cell.get("outputs", []) if "image/png" in one.get("data", {})]
    output = next(filter(None, openings + others))
    (source / "front.png").write_bytes(base64.b64decode(output.data["image/png"]))
    return {
        "(alt)": output.metadata["image/png"]["alt"],
        "(kind)": _kind(output),
        "(lessons)": "\n".join(["| lesson | time | you end up with |", "|---|---|---|", *rows]),
        "(pages)": "\n".join(f"{_number(name)}. {_title(one)} <lessons/{name}>" for name, one in notebooks.items()),
        "(report)": "report" if report else "",
    }


def _number(name: str) -> str:
    """Return a lesson's number as it is spoken: "0b" for 00b_primer."""
    return name.split("_")[0].removeprefix("0")


def _title(notebook: NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def _kind(output: NotebookNode) -> str:
    return output.metadata["image/png"].get("kind", "photo")


def page(notebook: NotebookNode, name: str, folder: Path, lessons: Collection[str]) -> NotebookNode:
    """Return a solution as a page: blanks open, answers folded, no rubrics, pictures with their texts, no set-up.

    Links to notebooks that are none of `lessons` become plain text.
    """
    notebook = authoring.still(notebook)
    cells = []
    for cell in notebook.cells:
        role = authoring.about(cell).get("role")
        if role == "setup":
            continue
        if cell.cell_type == "markdown":
            link = r"\[([^]]+)\]\((\w+)\.ipynb\)"
            cell.source = re.sub(link, lambda m: m[0] if m[2] in lessons else m[1], cell.source)
        if role == "badges":
            cell.source = f"This page is a notebook, with its answers filled in. Do it yourself: {cell.source}."
            if (folder / "notebooks" / f"{name}.ipynb").is_file():
                cell.source += f" Or take it along: {{download}}`{name}.ipynb <../notebooks/{name}.ipynb>`."
        if role == "free_text":  # its model answer and rubric are for those who mark
            cell.source = authoring.NO_TEXT
        if role == "answer":
            open_ = copy.deepcopy(cell)
            open_.update(source=blank(cell.source), outputs=[], id=f"{cell.id}-blank"[-64:])
            cells.append(open_)
            cell.source = answer_of(authoring.about(cell)["exercise"])
        if role in ("answer", "question"):
            what = "the answer" if role == "answer" else "which one, and why"
            fold = "hide-input" if role == "answer" else "hide-cell"
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), fold]
            cell.metadata["mystnb"] = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
        pictures = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        for output in pictures:
            about = output.metadata["image/png"]
            cell.metadata.setdefault("mystnb", {})["image"] = {"alt": about["alt"], "classes": _kind(output)}
        if role == "picture":
            alt, source = re.fullmatch(r"!\[(.+)\]\((.+)\)", cell.source).groups()
            output = authoring.opening_picture(notebook, folder)  # which may have been drawn anew without a picture
            cell.source = f'<img class="{_kind(output) if output else "photo"}" alt="{escape(alt)}" src="{source}">'
        cells.append(cell)
    notebook.cells = cells
    notebook.metadata = nbformat.from_dict({"kernelspec": notebook.metadata["kernelspec"]})
    return notebook
