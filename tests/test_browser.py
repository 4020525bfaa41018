"""What a student sees and touches, in a real browser: the site, and explorers, blanks and cards in Jupyter."""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import pytest
from browsing import CHROMIUM, OURS, Notebook, browser, explorer, lab, page, says, serious, timed, touch
from written import wrong

from vqtutor import authoring
from vqtutor.lessons import EXERCISES
from vqtutor.lessons.answers import answer_of

ROOT = Path(__file__).parents[1]
LESSONS = [path.stem for path in authoring.lessons(ROOT)]
in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")

# Milliseconds, from the input event to the end of the frame that shows its result, for what the browser draws alone and
# for what Python works out: goals on an idle machine. On a busy one, where an empty frame or an echo, taken in turn,
# are late as well, this many times theirs is allowed.
FRAME, ROUND_TRIP, TIMES = 50, 150, 3


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


# --- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built from the stored outputs; with the network cut off where that can be done."""
    place = tmp_path_factory.mktemp("course")
    for name in ("solutions", "notebooks", "docs", "benchmarks", "pyproject.toml"):
        (place / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "vqtutor.cli", "site"]
    if cut := shutil.which("unshare") and os.geteuid() == 0:
        cut = subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
    done = subprocess.run(
        [*(["unshare", "-n"] if cut else []), *command], cwd=place, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    print("built with the network cut off" if cut else "built with the network there")
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "build" / "course"


def reads_well(tab, address, width):
    """Open a page, its folds as well, and hold it to what a phone and a screen reader need."""
    tab.goto(address)
    tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
    assert not tab.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"), address
    assert not serious(tab), (address, width)


def pages(site):
    return {str(path.relative_to(site)): path.read_text() for path in site.rglob("*.html")}


def test_every_link_of_the_site_leads_somewhere_and_nothing_is_fetched_from_elsewhere(site):
    all_pages = pages(site)
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in all_pages.items()}
    for name, text in all_pages.items():
        for tag, address in re.findall(r"<(\w+)[^>]*?\s(?:href|src)=[\"']([^\"']*)[\"']", text):
            address, part = urldefrag(html.unescape(address))
            if address.startswith(("http:", "https:", "//", "mailto:")):
                assert tag == "a", f"{name} fetches {address}"
            elif not address.startswith("data:"):
                target = (site / name).parent / unquote(address.split("?")[0]) if address else site / name
                assert target.exists(), f"{name} leads to {address}, which is not there"
                if part and target.suffix == ".html":
                    assert unquote(part) in ids[str(target.resolve().relative_to(site.resolve()))], (
                        name,
                        address,
                        part,
                    )
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import ['\"]https?:", style.read_text()), style


def test_the_site_has_all_lessons_in_order_with_titles_documents_and_reference(site):
    all_pages = pages(site)
    for before, name, after in zip([None, *LESSONS], LESSONS, [*LESSONS[1:], None], strict=False):
        text = all_pages[f"lessons/{name}.html"]
        title = authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells[0].source.splitlines()[0][2:]
        assert f"<title>{html.escape(title)} - " in text
        for rel, other in (("prev", before), ("next", after)):
            if other:
                assert f'rel="{rel}"' in text and f'href="{other}.html"' in text
        assert f'href="lessons/{name}.html"' in all_pages["index.html"]
    assert "vqtutor grade" in re.sub(r"<[^>]*>", "", all_pages["docs/instructors.html"])
    for name in ("vqtutor.models.quantizer.straight_through", "vqtutor.models.gated.GatedBlock"):
        assert f'id="{name}"' in all_pages["reference/models.html"]
    assert 'id="vqtutor.tutor.check"' in all_pages["reference/students.html"]


def test_answers_are_folded_away_and_blanks_are_open(site):
    for name in LESSONS:
        text = pages(site)[f"lessons/{name}.html"]
        cells = authoring.read(ROOT / "solutions" / f"{name}.ipynb").cells
        answers = [cell for cell in cells if authoring.about(cell).get("role") == "answer"]
        assert text.count("Show the answer") == len(answers) and text.count("Write your answer below") >= len(answers)
        shown = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
        shown = re.sub(r"<[^>]*>", "", shown)
        for answer in answers:
            lines = [
                line.strip()
                for line in re.search(r"BEGIN SOLUTION\n(.*)### END", answer.source, re.DOTALL)[1].split("\n")
            ]
            assert not [line for line in lines if len(line) > 30 and html.escape(line) in shown], answer.id


def test_formulas_need_no_script_and_pictures_have_texts(site):
    for name, text in pages(site).items():
        bare = re.sub(r"<(pre|code|script)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert not re.search(r"\$\$|\\(frac|sum|lVert|text)\b", re.sub(r"<[^>]*>", "", bare)), name
        for tag in re.findall(r"<img[^>]*>", text):
            assert re.search(r'alt="[^"]{20,}"', tag), (name, tag[:200])
    assert pages(site)["lessons/02_losses.html"].count("<math") >= 5


@in_a_browser
def test_the_site_reads_well_on_a_phone_and_with_a_screen_reader(site, chromium):
    """Three kinds of pages; `make browser` visits all of them."""
    with page(chromium, width=390, scheme="dark") as tab:
        for name in ("index", "lessons/02_losses", "reference/show"):
            reads_well(tab, f"file://{site}/{name}.html", 390)


@in_a_browser
def test_the_site_is_walked_and_searched_without_a_server(site, chromium):
    with page(chromium) as tab:
        tab.goto(f"file://{site}/index.html")
        tab.get_by_role("link", name="2. The losses").first.click()
        assert tab.title().startswith("The losses")
        answer = tab.locator("details", has_text="Show the answer").first
        assert not answer.locator("pre").first.is_visible()
        answer.locator("summary").focus()
        tab.keyboard.press("Enter")
        assert answer.locator("pre").first.is_visible()
        formula = tab.locator("math[display=block]").first.bounding_box()
        assert formula["height"] > 15 and formula["width"] > 100
        tab.get_by_role("link", name=re.compile("Next")).click()
        assert tab.title().startswith("The VQ-VAE")
        tab.get_by_role("textbox", name="Search").fill("perplexity")
        tab.keyboard.press("Enter")
        tab.locator("ul.search li").first.wait_for()
        assert tab.locator("ul.search a", has_text="The losses").count()


# --- explorers and notebooks

SETUP = """\
import jax, jax.numpy as jnp, numpy as np
import vqtutor
from vqtutor.models import ema, quantizer
from vqtutor.show import figures, widgets

rng = np.random.default_rng(7)
points = jnp.asarray(rng.normal(size=(400, 2)), jnp.float32)
codes = jnp.asarray(rng.normal(size=(8, 2)), jnp.float32)
decode = lambda maps: np.kron(np.asarray(maps) / 31, np.ones((1, 4, 4)))"""
EXPLORERS = {
    "QuantizerExplorer": "widgets.QuantizerExplorer(points, codes, quantizer.nearest_code)",
    "EMAExplorer": (
        "widgets.EMAExplorer(points, codes.at[3:5].add(9), quantizer.nearest_code, ema.update_codebook, "
        "ema.restart_dead_codes)"
    ),
    "Replay": "widgets.Replay({f'beta {b}': (points * b, codes * b) for b in (1, 2, 3)}, quantizer.nearest_code)",
    "CodeEditor": "widgets.CodeEditor(rng.integers(0, 32, (7, 7)), 32, decode)",
    "PriorPlayer": (
        "widgets.PriorPlayer(lambda seed, heat, label: np.random.default_rng([seed, label, int(heat * 10)])"
        ".integers(0, 32, (5, 7, 7)), decode, labels=['zero', 'one'])"
    ),
}
ECHO = """\
class Echo(widgets._Widget):  # a button that Python answers at once
    _esm = widgets._read("common.js") + \'\'\'
export default { render({model, el}) {
  const { root } = frame(el, "echo", make("button", { click: () => talk.ask({}) }, "echo"), "");
  const talk = conversation(model, root, () => {});
}};\'\'\'
echo = Echo(view={"n": 0})
echo.on_msg(lambda widget, message, buffers: setattr(widget, "view", {"n": message["n"]}))
echo"""
TRAINING = """\
import os

os.environ.pop("VQTUTOR_MAX_STEPS", None)
step = lambda x, batch: (x + 1.0, {"loss": 1 / x})
run = vqtutor.fit(step, (jnp.ones(()),), jnp.zeros((512, 1)), steps=10**8, checkpoint="here.npz")
print(run.finished, run.steps, float(run.state[0]))"""


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A server with the students' notebooks, and one of explorers and other things to try."""
    place = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", place / "notebooks")
    cells = [
        SETUP,
        *EXPLORERS.values(),
        ECHO,
        "figures.curves({'loss': [3, 2, 1]}, 'step', 'loss', alt='A loss that falls.')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    authoring.write(notebook, place / "notebooks" / "explorers.ipynb")
    with lab(place, VQTUTOR_MAX_STEPS="3") as address:
        yield address


@pytest.fixture(scope="module")
def explorers(jupyter, chromium):
    """The notebook of explorers in JupyterLab, all cells run."""
    with page(chromium) as tab:
        notebook = Notebook(tab, jupyter, "explorers.ipynb")
        notebook.command("notebook:run-all-cells")
        notebook.done(len(EXPLORERS) + 2)
        tab.locator("section.vq").nth(len(EXPLORERS)).wait_for()
        yield tab


def spot(found, number):
    return [float(x) for x in found.locator(".vq-spot").nth(number).get_attribute("aria-valuetext").split(", ")]


def centre(found):
    box = found.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Latencies:
    """Times acts, each in turn with an empty frame or an echo; `rows` holds medians in milliseconds."""

    def __init__(self, tab):
        self.tab, self.rows = tab, []
        self.echo = explorer(tab, "echo")

    def empty(self) -> float:
        return timed(self.tab, lambda: self.tab.keyboard.press("Shift"), "keydown")

    def echoed(self) -> float:
        button = self.echo.locator("button")
        return timed(self.tab, lambda: button.evaluate("e => e.click()"), "click", self.echo.element_handle())

    def take(self, what, found, act, kind, trip, frames=9):
        """Do act(i), `frames` times; `kind` is the input event that it makes."""
        root = found.element_handle() if trip else None
        pairs = []
        for i in range(frames):
            least = self.echoed() if trip else self.empty()
            pairs.append((timed(self.tab, lambda i=i: act(i), kind, root), least))
        taken, least = (sorted(times)[frames // 2] for times in zip(*pairs, strict=True))
        self.rows.append((what, taken, least, ROUND_TRIP if trip else FRAME))
        assert taken < max(self.rows[-1][3], TIMES * least), self.rows[-1]

    def __str__(self):
        lines = [f"{'milliseconds, medians':44} {'taken':>6} {'echo, empty':>12} {'ratio':>6} {'goal':>5}"]
        lines += [
            f"{what:44} {ms:6.0f} {least:12.0f} {ms / least:6.1f} {goal:5}" for what, ms, least, goal in self.rows
        ]
        return "\n".join(lines)


@pytest.fixture(scope="module")
def latencies(explorers):
    found = Latencies(explorers)
    yield found
    print(f"\n{found}")


@in_a_browser
def test_a_code_is_dragged_typed_at_and_chosen_without_being_moved(explorers, latencies):
    found = explorer(explorers, "QuantizerExplorer")
    start = [spot(found, k) for k in range(9)]
    found.get_by_label("move", exact=True).select_option("code 5")
    found.locator(".vq-spot").nth(2).focus()
    assert [spot(found, k) for k in range(9)] == start  # choosing moves nothing
    cells = found.locator("canvas").evaluate("e => e.toDataURL()")

    found.locator(".vq-spot").nth(2).focus()
    before = says(found, "distortion")
    latencies.take(
        "move a code with an arrow key, cells by Python",
        found,
        lambda i: explorers.keyboard.press("ArrowRight"),
        "keydown",
        True,
    )
    assert spot(found, 2) == pytest.approx([start[2][0] + 9 * 0.05, start[2][1]], abs=0.011)
    assert says(found, "distortion") != before and found.locator("canvas").evaluate("e => e.toDataURL()") != cells

    x, y = centre(found.locator(".vq-spot").nth(4))
    explorers.mouse.move(x, y)
    explorers.mouse.down()
    latencies.take("drag a code", found, lambda i: explorers.mouse.move(x - 60 + i, y - 40), "pointermove", False)
    latencies.take(
        "drag a code, cells by Python", found, lambda i: explorers.mouse.move(x - 60 - i, y - 40), "pointermove", True
    )
    explorers.mouse.up()
    assert spot(found, 4)[0] < start[4][0] - 0.3 and spot(found, 4)[1] > start[4][1] + 0.2
    assert [spot(found, k) for k in (0, 1, 3, 5, 6, 7, 8)] == [start[k] for k in (0, 1, 3, 5, 6, 7, 8)]

    found.get_by_label("dimension 1").focus()
    explorers.keyboard.press("Home")
    explorers.wait_for_function(
        "e => e.querySelectorAll('.vq-spot')[4].getAttribute('aria-valuenow')", arg=found.element_handle()
    )
    assert spot(found, 4)[1] < -2
    for _ in range(2):
        found.get_by_role("button", name="each code to its mean").click()
    found.get_by_role("button", name="start again").click()
    explorers.wait_for_function(
        "([e, was]) => e.querySelectorAll('.vq-spot')[4].getAttribute('aria-valuetext') === was",
        arg=[found.element_handle(), ", ".join(f"{x:.2f}" for x in start[4])],
    )
    assert [spot(found, k) for k in range(9)] == start


@in_a_browser
def test_ema_steps_are_taken_and_the_dead_revived(explorers, latencies):
    found = explorer(explorers, "EMAExplorer")
    says(found, "^After 0 updates")  # it begins at its beginning
    found.get_by_role("button", name="revive the dead").click()
    says(found, "No code is dead")
    once = found.get_by_role("button", name="one update")
    latencies.take("one EMA update", found, lambda i: once.click(), "click", True)
    for _ in range(3):
        found.get_by_role("button", name="ten updates").click()
    assert "2 dead" in says(found, "^After 39 updates")
    assert found.locator(".vq-spot path[fill='#ffffff']").count() == 2  # crosses, and white
    found.get_by_role("button", name="revive the dead").click()
    says(found, "^2 revived.*0 dead")
    found.get_by_role("button", name="start again").click()
    says(found, "^After 0 updates")


@in_a_browser
def test_replay_moves_with_the_arrow_keys_on_axes_that_stay(explorers, latencies):
    found = explorer(explorers, "Replay")
    assert says(found, "beta").startswith("beta 1:")
    axes, where = found.locator(".vq-axes").inner_html(), found.locator(".vq-spot").nth(0).get_attribute("transform")
    slider = found.get_by_label("stage")
    slider.focus()
    keys = ("ArrowRight", "ArrowLeft")
    latencies.take("a stage of a replay", found, lambda i: explorers.keyboard.press(keys[i % 2]), "keydown", False)
    assert says(found, "^beta 2:") and slider.get_attribute("aria-valuetext") == "beta 2"
    assert found.locator(".vq-axes").inner_html() == axes
    assert found.locator(".vq-spot").nth(0).get_attribute("transform") != where
    found.get_by_role("button", name="start again").click()
    says(found, "^beta 1:")


@in_a_browser
def test_codes_are_chosen_changed_and_painted(explorers, latencies):
    found = explorer(explorers, "CodeEditor")
    pixels = "e => [...e.querySelectorAll('canvas')].map(c => c.toDataURL())"
    before, now, difference = found.evaluate(pixels)
    assert before == now
    place = found.get_by_role("button", name=re.compile("row 1, column 2"))
    latencies.take("choose a place of a code map", found, lambda i: place.click(), "pointerdown", True)
    says(found, "^Row 1, column 2 has code \\d+; 0 codes changed")
    explorers.keyboard.press("ArrowDown")
    explorers.keyboard.press("Enter")
    says(found, "^Row 2, column 2")
    found.get_by_label("code", exact=True).focus()
    explorers.keyboard.press("Home")
    latencies.take("another code, decoded", found, lambda i: explorers.keyboard.press("ArrowRight"), "keydown", True)
    explorers.keyboard.press("Home")
    explorers.keyboard.press("ArrowRight")
    says(found, "has code 1; 1 code changed")
    assert found.evaluate(pixels)[0] == before and found.evaluate(pixels)[1] != now
    found.get_by_label("a click").select_option("paints it with the code")
    x, y = centre(found.get_by_role("button", name=re.compile("row 5, column 1")))
    explorers.mouse.move(x, y)
    explorers.mouse.down()
    to = centre(found.get_by_role("button", name=re.compile("row 5, column 4")))
    explorers.mouse.move(*to, steps=12)
    explorers.mouse.up()
    for column in (1, 2, 3, 4):
        found.get_by_role("button", name=f"row 5, column {column}: code 1").wait_for()
    found.get_by_role("button", name="start again").click()
    says(found, "; 0 codes changed")


@in_a_browser
def test_the_prior_plays_stops_and_draws_others(explorers, latencies):
    found = explorer(explorers, "PriorPlayer")
    says(found, "^0 of 49")
    found.get_by_role("button", name="play").click()
    says(found, "^[3-9] of 49")
    found.get_by_role("button", name="pause").click()
    slider = found.get_by_label("codes drawn", exact=True)
    slider.focus()
    latencies.take(
        "a prior's next code, decoded", found, lambda i: explorers.keyboard.press("ArrowRight"), "keydown", True
    )
    explorers.keyboard.press("End")
    says(found, "^49 of 49")
    explorers.keyboard.press("Home")
    says(found, "^0 of 49")
    keys = ("End", "Home")  # both are in the browser's memory
    latencies.take(
        "the same again, from memory", found, lambda i: explorers.keyboard.press(keys[i % 2]), "keydown", False
    )
    pixels = "e => [...e.querySelectorAll('canvas')].map(c => c.toDataURL())"
    before, others = found.evaluate(pixels), found.get_by_role("button", name="draw others")
    latencies.take("other drawings", found, lambda i: others.click(), "click", True)
    assert found.evaluate(pixels) != before
    found.get_by_label("class").select_option("one")
    found.get_by_role("button", name="start again").click()
    says(found, "^0 of 49")
    assert found.get_by_label("class").evaluate("e => e.selectedIndex") == 0


@in_a_browser
def test_explorers_and_pictures_can_be_read_by_a_screen_reader(explorers):
    assert explorers.locator(".jp-OutputArea img").last.get_attribute("alt") == "A loss that falls."
    for name in EXPLORERS:
        found = explorer(explorers, name)
        for control in found.locator("button, select, input, [tabindex='0']").all():
            named = control.evaluate("e => e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent")
            assert named.strip(), (name, control.evaluate("e => e.outerHTML"))
        for button in found.locator(".vq-bar button").all():
            assert button.evaluate("e => e.scrollWidth <= e.clientWidth"), "a label is cut off"
    assert not serious(explorers, "section.vq")


def stops_at_a_wrong_answer(notebook, cells, id):
    """Write a wrong answer, run all cells, and see that the run says where it stopped, and is there."""
    place = {
        authoring.about(cell).get("role"): i
        for i, cell in enumerate(cells)
        if authoring.about(cell).get("exercise") == id
    }
    notebook.write(place["answer"], wrong(EXERCISES[id])[0][1])
    notebook.command("notebook:run-all-cells")
    card = notebook.cells.nth(place["check"]).get_by_role("group", name=re.compile("not yet"))
    card.wait_for()
    notebook.cells.nth(place["check"]).get_by_text("the run stopped here").wait_for()
    notebook.tab.wait_for_function(
        "e => e.getBoundingClientRect().top < innerHeight && e.getBoundingClientRect().bottom > 0",
        arg=card.element_handle(),
    )
    below = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and i > place["check"]]
    assert notebook.cells.nth(below[0]).locator(".jp-InputPrompt").inner_text().strip() == "[ ]:"


@in_a_browser
def test_a_students_journey_through_the_first_lesson(jupyter, chromium):
    cells = authoring.read(ROOT / "notebooks" / "01_quantizer.ipynb").cells
    about = [authoring.about(cell) for cell in cells]
    place = {(one.get("role"), one.get("exercise")): i for i, one in enumerate(about)}
    ids = [one["exercise"] for one in about if one.get("role") == "answer"]
    ids = [id for id in ids if not EXERCISES[id].bonus]
    with page(chromium) as tab:
        Notebook(tab, jupyter, "00_start_here.ipynb")  # which `make lab` opens
        assert not tab.locator(".jp-Launcher").count() and not tab.get_by_text("Jupyter news").count()
        tab.get_by_role("link", name="01_quantizer").click()
        tab.get_by_role("tab", name="01_quantizer.ipynb").wait_for()
        notebook = Notebook(tab)
        stops_at_a_wrong_answer(notebook, cells, ids[0])
        for id in ids:
            answer, check = place["answer", id], place["check", id]
            name, text = wrong(EXERCISES[id])[0]
            idea = next(one for one in EXERCISES[id].misconceptions if one.name == name)
            notebook.write(answer, f"{text}\nvqtutor.hint({id!r})")
            assert EXERCISES[id].hints[0].replace("`", "") in notebook.run(answer).inner_text().replace("`", "")
            output = notebook.run(check)
            assert idea.says in output.get_by_role("group", name=re.compile("not yet")).inner_text()
            notebook.write(answer, answer_of(id))
            notebook.run(answer)
            assert notebook.run(check).get_by_role("group", name=re.compile("passed")).is_visible()
        assert f"{len(ids)} of {len(ids)} exercises passed" in output.inner_text()
        last = max(i for i, cell in enumerate(cells) if cell.cell_type == "code")
        before = notebook.cells.nth(last).locator(".jp-InputPrompt").inner_text()
        notebook.command("notebook:run-all-cells")
        notebook.done(last, before)
        assert not tab.locator("[data-mime-type='application/vnd.jupyter.error']").count()
        for name in ("QuantizerExplorer", "Replay"):
            touch(explorer(tab, name))
        assert not serious(tab, OURS)
        tab.get_by_role("link", name="02_losses").click()
        tab.get_by_role("tab", name="02_losses.ipynb").wait_for()
    with page(chromium, width=390, height=844) as tab:  # on a phone, in Notebook 7, with the same kernel
        stops_at_a_wrong_answer(Notebook(tab, jupyter, "01_quantizer.ipynb", app="notebooks"), cells, ids[2])
        found = explorer(tab, "QuantizerExplorer")  # which stands above
        box = found.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["width"] > 250
        found.locator(".vq-spot").nth(2).focus()
        before = spot(found, 2)
        tab.keyboard.press("ArrowLeft")
        assert spot(found, 2)[0] == pytest.approx(before[0] - 0.05, abs=0.011)


@in_a_browser
def test_a_training_is_stopped_and_goes_on(explorers):
    notebook, last = Notebook(explorers), len(EXPLORERS) + 2
    notebook.write(last, TRAINING)
    before = notebook.start(last)
    notebook.cells.nth(last).get_by_text(re.compile("step/s")).first.wait_for()  # the bar moves
    notebook.command("notebook:interrupt-kernel")
    stopped = re.search(r"False (\d+) ([\d.]+)", notebook.done(last, before).inner_text())
    assert int(stopped[1]) > 0 and float(stopped[2]) == int(stopped[1]) + 1
    notebook.command("notebook:clear-cell-output")  # or the old bar would be taken for the new one
    before = notebook.start(last)
    notebook.cells.nth(last).get_by_text(re.compile("step/s")).first.wait_for()
    notebook.command("notebook:interrupt-kernel")
    again = re.search(r"False (\d+) ([\d.]+)", notebook.done(last, before).inner_text())
    assert int(again[1]) > int(stopped[1]) and float(again[2]) == int(again[1]) + 1
