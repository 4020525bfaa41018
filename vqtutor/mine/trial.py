"""The program that tries a module out, in a process of its own: defines it answer by answer, and judges each.

It reads JSON from stdin, see judging.ask, and writes a line of JSON for each answer as soon as it is judged, so that
whoever waits can tell which one does not come to an end.
"""

import io
import json
import linecache
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import Any

from vqtutor import tutor
from vqtutor.lessons import find
from vqtutor.storage import cache_folder

MOST = 5  # seconds of processor time to define one answer: a module that trains when it is imported is none
_TALK = {"socket.connect", "subprocess.Popen", "os.system", "os.remove", "os.rename", "shutil.rmtree", "urllib.Request"}


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what answers print
    os.dup2(1, 2)
    module = sys.modules[request["name"]] = ModuleType(request["name"])
    space = vars(module)
    exec(request["head"], space)
    for part in request["parts"]:
        why = _define(space, part["text"], f"<{part['id']}>", part["own"])
        if part["own"]:
            why = why or _judged(module, part["id"])
        if why:
            space[part["id"].split(".")[1]] = find(part["id"]).reference  # as the written module will have it
        print(json.dumps(why), file=out, flush=True)
    out.flush()
    os._exit(0)  # whatever threads are left


def _define(space: dict[str, Any], text: str, file: str, watched: bool) -> str:
    """Run a part of the module; return what is wrong with that, or ""."""
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file  # for tracebacks
    said, done = io.StringIO(), []
    _watch[:] = [done] if watched else []
    try:
        with redirect_stdout(said), redirect_stderr(said), _clock():
            exec(compile(text, file, "exec"), space)
    except _Late:
        return f"needs a cell that computes for over {MOST} seconds"
    except BaseException as error:
        return f"does not run outside its notebook ({type(error).__name__}: {error})"
    finally:
        _watch.clear()
    if done:
        return f"needs a cell that does more than define something ({done[0]})"
    return "needs a cell that prints" if said.getvalue().strip() else ""


_watch: list[list[str]] = []


class _Late(BaseException):
    """Defining an answer took too long."""


@contextmanager
def _clock() -> Iterator[None]:
    """Raise _Late after MOST seconds of processor time; not in Windows, which has no such clock."""

    def ring(*_):
        raise _Late

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, ring)
        signal.setitimer(signal.ITIMER_PROF, MOST)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)


def _hook(event: str, arguments: tuple) -> None:
    if not _watch:
        return
    if event in _TALK:
        _watch[0].append(event)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        kept = (str(cache_folder()), os.environ.get("JAX_COMPILATION_CACHE_DIR") or "\0")
        if not str(arguments[0]).startswith((*kept, "/dev/")):
            _watch[0].append(f"writes {arguments[0]}")


def _judged(module: ModuleType, id: str) -> str:
    answer = getattr(module, id.split(".")[1], None)
    try:
        verdict = tutor.judge(id, answer)
    except Exception as error:
        return f"cannot be judged ({type(error).__name__}: {error})"
    if verdict.passed:
        return ""
    return f"does not pass its check: {' '.join(verdict.message.split())}" if verdict.message else "is still open"


if __name__ == "__main__":
    sys.addaudithook(_hook)
    main()
