"""Pictures of every lesson, to be looked at: `make screenshots` calls this. They come to build/screenshots.

The site, and the solutions run in JupyterLab and opened in Notebook 7, light and dark, at 1280 and 390 pixels.
Trainings are cut short unless `--whole` is given; names of lessons choose some of them.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("VQTUTOR_PATIENCE", "900000")  # a lesson runs as a whole

from browsing import Notebook, browser, lab, page

from vqtutor import authoring, site

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "screenshots"
SIZES = {1280: 900, 390: 844}


def shoot(tab, name: str) -> None:
    tab.wait_for_timeout(800)
    tab.screenshot(path=OUT / f"{name}.png")
    print(f"{name}.png", flush=True)


def of_the_site(chromium, lessons: list[str]) -> None:
    """Take each page's top, its first answer, unfolded, its first formula and its last picture."""
    out = ROOT / "build" / "course"
    notebooks = {path.stem: authoring.read(path) for path in authoring.lessons(ROOT)}
    print(*site.build(ROOT, notebooks, out), sep="\n")
    names = ["index", "search", "docs/instructors", "reference/models", *(f"lessons/{name}" for name in lessons)]
    for width, height in SIZES.items():
        for scheme in ("light", "dark"):
            with page(chromium, width, height, scheme) as tab:
                for name in names:
                    tab.goto(f"file://{out}/{name}.html")
                    file = f"site-{Path(name).name}-{{}}-{width}-{scheme}".format
                    shoot(tab, file("top"))
                    moments = {"answer": "details summary", "formula": ".formula", "picture": "article img >> nth=-1"}
                    for moment, selector in moments.items() if name.startswith("lessons/") else ():
                        if (found := tab.locator(selector).first).count():
                            if moment == "answer":
                                found.click()
                            found.evaluate("e => e.scrollIntoView({block: 'center'})")
                            shoot(tab, file(moment))


def of_notebooks(chromium, lessons: list[str], whole: bool) -> None:
    """Take each lesson's opening, its first card, its explorers and its result, after all cells have run."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(ROOT / "solutions", Path(place) / "notebooks")
        steps = {} if whole else {"VQTUTOR_MAX_STEPS": "3"}
        with lab(Path(place), **steps) as address:
            for name in lessons:
                cells = authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells
                with page(chromium, strict=False) as tab:
                    notebook = Notebook(tab, address, f"{name}.ipynb")
                    notebook.command("notebook:run-all-cells")
                    last = max(i for i, cell in enumerate(cells) if cell.cell_type == "code")
                    notebook.done(last, notebook.cells.nth(last).locator(".jp-InputPrompt").inner_text())
                    for scheme in ("light", "dark"):
                        theme = f"JupyterLab {scheme.title()}"
                        tab.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
                        moments(tab, notebook, cells, f"lab-{name}-{{}}-1280-{scheme}".format)
                    tab.evaluate("jupyterapp.commands.execute('docmanager:save')")
                    tab.wait_for_timeout(1000)
                for scheme in ("light", "dark"):
                    with page(chromium, 390, 844, strict=False) as tab:
                        notebook = Notebook(tab, address, f"{name}.ipynb", app="notebooks")
                        theme = f"JupyterLab {scheme.title()}"
                        tab.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
                        moments(tab, notebook, cells, f"notebook-{name}-{{}}-390-{scheme}".format)


def moments(tab, notebook: Notebook, cells, file) -> None:
    about = [authoring.about(cell) for cell in cells]
    chosen = {"opening": 0, "card": next(i for i, one in enumerate(about) if one.get("role") == "check")}
    chosen |= {f"explorer-{cell.id}": i for i, cell in enumerate(cells) if "= widgets." in cell.source}
    chosen["result"] = next(i for i, cell in enumerate(cells) if cell.id == about[0]["shows"])
    for moment, i in chosen.items():
        cell = notebook.cells.nth(i)
        output = cell.locator(".jp-OutputArea-child")
        (output if output.count() else cell).first.evaluate("e => e.scrollIntoView({block: 'center'})")
        tab.wait_for_timeout(500)
        shoot(tab, file(moment))


if __name__ == "__main__":
    every = [path.stem for path in authoring.lessons(ROOT)]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", default=every, help="such as 01_quantizer")
    parser.add_argument("--whole", action="store_true", help="train as the lessons do")
    parser.add_argument("--only", choices=["site", "notebooks"])
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    with browser() as chromium:
        if options.only != "notebooks":
            of_the_site(chromium, options.lessons)
        if options.only != "site":
            of_notebooks(chromium, options.lessons, options.whole)
    print(f"The pictures are in {OUT}")
