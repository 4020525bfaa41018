"""A browser, and servers for it on loopback: what test_browser.py and screenshots.py share."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

from vqtutor import authoring

ROOT = Path(__file__).parents[1]
SHOTS = ROOT / "build" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = int(os.environ.get("VQTUTOR_PATIENCE", 120_000))  # milliseconds, on a busy machine
# What is Notebook 7's own: it stumbles over other extensions of JupyterLab, such as nbgrader's, and its server refuses
# the fonts of formulas, which the system's stand in for. (The console does not say what was refused: responses do.)
OF_NOTEBOOK_7 = (
    "(reading 'schema')",
    "Command 'filebrowser:open-path' not registered",
    ".woff",
    "Failed to load resource",
)
# What the course itself puts into a notebook: its texts, outputs and explorers, and a training's bar.
OURS = ".jp-NotebookPanel:not(.lm-mod-hidden) :is(.jp-RenderedMarkdown, .jp-OutputArea-output)"
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page
    "@jupyterlab/apputils-extension/themes": {"theme": "JupyterLab Light"},
}


@contextmanager
def browser():
    """Yield Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--disable-gpu", *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@contextmanager
def page(browser, width=1280, height=900, scheme="light", strict=True):
    """Yield a page that notes errors and requests that leave this machine; where it is strict, it fails on any."""
    look = {"color_scheme": scheme, "reduced_motion": "reduce"}
    context = browser.new_context(viewport={"width": width, "height": height}, **look)
    context.set_default_timeout(PATIENCE)
    tab, wrong = context.new_page(), []
    tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    tab.on("console", lambda line: wrong.append(f"console: {line.text}") if line.type == "error" else None)
    tab.on("response", lambda got: wrong.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
    local = ("file:", "data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:")
    tab.on("request", lambda asked: asked.url.startswith(local) or wrong.append(f"request: {asked.url}"))
    yield tab
    context.close()
    wrong = [line for line in wrong if not any(known in line for known in OF_NOTEBOOK_7)]
    assert not (strict and wrong), wrong


# In the page: milliseconds from an input event to the end of the frame that shows what came of it. With `trip`, the
# frame is the one after the answer from Python, which explorers note on themselves.
_TIMED = """([root, kind, trip]) => { window.timed = new Promise(done => {
  const painted = () => requestAnimationFrame(() => {
    const channel = new MessageChannel();  // its message comes when the frame has been drawn
    channel.port1.onmessage = () => done(performance.now() - began);
    channel.port2.postMessage(0);
  });
  let began;
  const heard = event => {
    began = event.timeStamp;
    if (!trip) return painted();
    const answered = new MutationObserver(() => { answered.disconnect(); painted(); });
    answered.observe(root, {attributes: true, attributeFilter: ["data-round-trip"]});
  };
  window.addEventListener(kind, heard, {capture: true, once: true});
}); return null; }"""


def timed(tab, act, kind: str, root=None) -> float:
    """Act, and return the milliseconds, in the browser, from the event of this kind to the frame that shows its result.

    With `root`, an explorer's element, that is the frame after Python's answer.
    """
    tab.evaluate(_TIMED, [root, kind, root is not None])
    act()
    return tab.evaluate("window.timed")


def violations(tab, within: str | None = None) -> list[tuple[str, str, str]]:
    """Return what axe finds: rule, impact and the first element that breaks it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab, context=within, options={"preload": False}).response["violations"]
    return [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found]


def serious(tab, within: str | None = None) -> list[tuple[str, str, str]]:
    """Return what axe finds that is serious or worse, and print all that it finds."""
    found = violations(tab, within)
    print(tab.title(), within or "", found or "axe finds nothing")
    return [one for one in found if one[1] in ("serious", "critical")]


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


@contextmanager
def lab(place: Path, settings: dict | None = None, **variables):
    """Yield the address of a Jupyter server in `place`/notebooks, started by the command of `make lab`."""
    for name, values in (SETTINGS | (settings or {})).items():
        file = place / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    command, environment = authoring.lab(place)
    port = free_port()
    command += ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root", "--IdentityProvider.token="]
    command += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
    command += ["--ServerApp.log_level=ERROR"]
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "spaces"}
    own |= {"JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython", "VQTUTOR_PROGRESS": "progress.json"}
    environment |= {name: str(place / path) for name, path in own.items()}
    # As a student has it: the suite's own settings hide bars and the pictures' texts.
    outer = {k: v for k, v in os.environ.items() if k not in ("VQTUTOR_PICTURES", "VQTUTOR_PROGRESS_BAR")}
    environment = outer | environment | {"VQTUTOR_DATASET": "strokes", "PYTHONPATH": str(ROOT)} | variables
    with (place / "log.txt").open("w") as log:
        server = subprocess.Popen(
            command, cwd=place, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE / 1000
        while not _answers(f"{address}/api"):
            assert server.poll() is None and time.monotonic() < end, (place / "log.txt").read_text()
            time.sleep(0.3)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


class Notebook:
    """A notebook in an open tab of JupyterLab or Notebook 7; cells are counted from 0."""

    def __init__(self, tab, address: str = "", name: str = "", app: str | None = None):
        self.tab = tab
        if address:  # in a workspace of its own, where nothing else is restored; else what is open already
            tab.goto(f"{address}/{app or f'lab/workspaces/{uuid.uuid4().hex}/tree'}/{name}")
        self.cells = tab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")
        self.cells.first.wait_for()
        tab.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def write(self, number: int, source: str) -> None:
        """Type a text over what a cell holds."""
        editor = self.cells.nth(number).locator(".cm-content")
        editor.click()
        self.tab.keyboard.press("Control+a")
        self.tab.keyboard.insert_text(source)

    def start(self, number: int) -> str:
        """Run a cell with the keyboard; return what its prompt said before."""
        from playwright.sync_api import expect

        prompt = self.cells.nth(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        for _ in range(10):  # on a busy machine Jupyter may move the focus back, to the cell that ran last
            self.cells.nth(number).locator(".cm-content").click()
            self.tab.keyboard.press("Control+Enter")
            try:
                expect(prompt).not_to_have_text(before, timeout=5_000)
                break
            except AssertionError:
                continue
        return before

    def run(self, number: int):
        """Run a cell, wait until it is done, and return its output area."""
        return self.done(number, self.start(number))

    def done(self, number: int, before: str = "[ ]:"):
        """Wait until a cell has run, and return its output area."""
        from playwright.sync_api import expect

        prompt = self.cells.nth(number).locator(".jp-InputPrompt")
        expect(prompt).not_to_have_text(before, timeout=PATIENCE)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=PATIENCE)
        return self.cells.nth(number).locator(".jp-OutputArea").first

    def command(self, name: str) -> None:
        """Do what a menu does."""
        self.tab.evaluate("name => void window.jupyterapp.commands.execute(name)", name)


# --- explorers


def explorer(tab, name: str):
    """Return an explorer's element, in view."""
    found = tab.locator(f"section.vq[aria-label={name}]").first
    found.scroll_into_view_if_needed()
    return found


def says(found, pattern: str) -> str:
    """Wait until an explorer says so, and return all it says."""
    found.locator(".vq-says", has_text=re.compile(pattern)).wait_for()
    return found.locator(".vq-says").inner_text()


_SEEN = """e => JSON.stringify([e.querySelector(".vq-says").textContent,
  [...e.querySelectorAll("canvas")].map(c => c.toDataURL()),
  [...e.querySelectorAll(".vq-spot, .vq-place + text")].map(s => [s.getAttribute("transform"), s.textContent])])"""


def seen(found) -> str:
    """Return what an explorer shows: words, pictures, where the marks are."""
    return found.evaluate(_SEEN)


def changes(found, act) -> str:
    """Act, wait until an explorer shows something else, and return what it then shows."""
    before = seen(found)
    act()
    found.page.wait_for_function(f"([e, before]) => ({_SEEN})(e) !== before", arg=[found.element_handle(), before])
    return seen(found)


def touch(found) -> None:
    """Hold an explorer to its promises: it stands at its beginning, mouse and keys change it, and there is a reset."""
    tab, press = found.page, found.page.keyboard.press
    name, again = found.get_attribute("aria-label"), found.get_by_role("button", name="start again")

    def to_beginning():
        again.click()
        tab.wait_for_function(f"([e, was]) => ({_SEEN})(e) === was", arg=[found.element_handle(), begin])

    begin = seen(found)
    again.click()
    tab.wait_for_timeout(500)
    assert seen(found) == begin, f"{name} does not stand at its beginning"
    if name == "QuantizerExplorer":
        box = found.locator(".vq-spot").nth(2).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        tab.mouse.move(x, y)
        tab.mouse.down()
        changes(found, lambda: tab.mouse.move(x + 40, y + 30))
        tab.mouse.up()
        to_beginning()
        found.locator(".vq-spot").nth(3).focus()
        changes(found, lambda: press("Shift+ArrowUp"))
    elif name == "EMAExplorer":
        changes(found, found.get_by_role("button", name="ten updates").click)
        to_beginning()
        found.get_by_role("button", name="one update").focus()
        changes(found, lambda: press("Enter"))
    elif name == "Replay":
        slider = found.locator("input[type=range]")
        box = slider.bounding_box()
        changes(found, lambda: slider.click(position={"x": box["width"] - 4, "y": box["height"] / 2}))
        to_beginning()
        slider.focus()
        changes(found, lambda: press("ArrowRight"))
    elif name == "CodeEditor":
        found.get_by_label("a click").select_option("chooses a place")
        changes(found, found.get_by_role("button", name=re.compile("row 1, column 2")).click)
        found.get_by_label("code", exact=True).focus()
        changes(found, lambda: press("PageUp"))
        to_beginning()
        found.get_by_role("button", name=re.compile("row 3, column 3")).focus()
        changes(found, lambda: (press("ArrowRight"), press("Enter")))
    else:
        changes(found, found.get_by_role("button", name="play").click)
        found.get_by_role("button", name="pause").click()
        to_beginning()
        found.get_by_label("codes drawn", exact=True).focus()
        changes(found, lambda: press("End"))
    to_beginning()
