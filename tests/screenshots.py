"""Pictures of every lesson, to be looked at: `make screenshots` calls this. They come to build/screenshots.

The site, and the solutions with their stored outputs in JupyterLab and Notebook 7, light and dark, at 1280 and 390
pixels; names of lessons choose some of them. `make browser` adds pictures of explorers that are alive.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from browsing import SHOTS, Notebook, browser, lab, page

from vqtutor import authoring, site

ROOT = Path(__file__).parents[1]
SIZES = {1280: 900, 390: 844}


def shoot(tab, name: str) -> None:
    tab.wait_for_timeout(800)
    tab.screenshot(path=SHOTS / f"{name}.png")
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


def of_notebooks(chromium, lessons: list[str]) -> None:
    """Take each lesson's opening, its first card, its explorers' still pictures and its result, as they are stored."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(ROOT / "solutions", Path(place) / "notebooks")
        with lab(Path(place)) as address:
            for name in lessons:
                cells = authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells
                for app, width in (("lab", 1280), ("notebook", 390)):
                    with page(chromium, width, SIZES[width], strict=False) as tab:
                        notebook = Notebook(tab, address, f"{name}.ipynb", app=None if app == "lab" else "notebooks")
                        for scheme in ("light", "dark"):
                            theme = f"JupyterLab {scheme.title()}"
                            tab.evaluate(
                                "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
                            )
                            moments(tab, notebook, cells, f"{app}-{name}-{{}}-{width}-{scheme}".format)


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
    parser.add_argument("--only", choices=["site", "notebooks"])
    options = parser.parse_args()
    SHOTS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    with browser() as chromium:
        if options.only != "notebooks":
            of_the_site(chromium, options.lessons)
        if options.only != "site":
            of_notebooks(chromium, options.lessons)
    print(f"The pictures are in {SHOTS}")
