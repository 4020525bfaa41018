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
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = int(os.environ.get("VQTUTOR_PATIENCE", 120_000))  # milliseconds, on a busy machine
# What Notebook 7 itself logs where other extensions of JupyterLab are installed, such as nbgrader's.
OF_NOTEBOOK_7 = ("(reading 'schema')", "Command 'filebrowser:open-path' not registered")
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
    local = ("file:", "data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:")
    tab.on("request", lambda asked: asked.url.startswith(local) or wrong.append(f"request: {asked.url}"))
    yield tab
    context.close()
    wrong = [line for line in wrong if not any(known in line for known in OF_NOTEBOOK_7)]
    assert not (strict and wrong), wrong


def violations(tab, within: str | None = None) -> list[tuple[str, str, str]]:
    """Return what axe finds: rule, impact and the first element that breaks it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab, context=within, options={"preload": False}).response["violations"]
    return [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found]


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

    def __init__(self, tab, address: str, name: str, app: str | None = None):
        self.tab = tab
        # In a workspace of its own, where nothing else is restored.
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
