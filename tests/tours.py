"""Tours too long for `make test`: all pages, and every lesson run in a browser. `make browser` calls this.

Pictures of the explorers, light and dark, at 1280 and 390 pixels, come to build/screenshots.
"""

import os
import shutil

os.environ.setdefault("VQTUTOR_PATIENCE", "600000")  # a lesson runs as a whole

import pytest
from browsing import OURS, SHOTS, Notebook, lab, page, serious, touch
from test_browser import LESSONS, ROOT, chromium, in_a_browser, pages, reads_well, site  # noqa: F401

from vqtutor import authoring


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@in_a_browser
def test_every_page_of_the_site_reads_well(site, chromium, scheme, width):  # noqa: F811
    with page(chromium, width=width, scheme=scheme) as tab:
        for name in sorted(pages(site)):
            reads_well(tab, f"file://{site}/{name}", width)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    place = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "solutions", place / "notebooks")
    SHOTS.mkdir(parents=True, exist_ok=True)
    with lab(place, VQTUTOR_MAX_STEPS="3", JAX_DISABLE_MOST_OPTIMIZATIONS="1") as address:
        yield address


@pytest.mark.parametrize("lesson", LESSONS)
@in_a_browser
def test_a_lesson_runs_and_its_explorers_are_touched_where_they_stand(jupyter, chromium, lesson):  # noqa: F811
    cells = authoring.read(ROOT / "solutions" / f"{lesson}.ipynb").cells
    last = max(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    number = sum("widgets." in cell.source for cell in cells if cell.cell_type == "code")
    with page(chromium) as tab:
        notebook = Notebook(tab, jupyter, f"{lesson}.ipynb")
        notebook.command("notebook:clear-all-cell-outputs")
        notebook.command("notebook:run-all-cells")
        notebook.done(last, notebook.cells.nth(last).locator(".jp-InputPrompt").inner_text())
        assert not tab.locator("[data-mime-type='application/vnd.jupyter.error']").count()
        tab.wait_for_function("n => document.querySelectorAll('section.vq').length === n", arg=number)
        pictures = tab.locator(".jp-OutputArea-output img")
        assert all(len(text or "") > 20 for text in pictures.evaluate_all("all => all.map(i => i.alt)"))
        for found in tab.locator("section.vq").all():
            found.scroll_into_view_if_needed()
            touch(found)
        show(tab, lesson, 1280)
        tab.evaluate("jupyterapp.commands.execute('docmanager:save')")
        tab.wait_for_timeout(1000)
    with page(chromium, 390, 844) as tab:  # as on a phone, with the same kernel
        Notebook(tab, jupyter, f"{lesson}.ipynb", app="notebooks")
        tab.wait_for_function("n => document.querySelectorAll('section.vq').length === n", arg=number)
        show(tab, lesson, 390)


def show(tab, lesson: str, width: int) -> None:
    """Hold what is in a notebook to axe and to the page's width, in both themes, and take its explorers' pictures."""
    for scheme in ("light", "dark"):
        theme = f"JupyterLab {scheme.title()}"
        tab.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        tab.wait_for_timeout(500)
        assert not serious(tab, OURS), (lesson, scheme)
        for i, found in enumerate(tab.locator("section.vq").all()):
            found.scroll_into_view_if_needed()
            box = found.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, (lesson, i, box)
            found.screenshot(path=SHOTS / f"explorer-{lesson}-{i}-{width}-{scheme}.png")
