"""Have a module tried out by another process, which no answer of this one's can bring down."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

PATIENCE = 180  # seconds of silence, after which an answer is given up


def ask(folder: str, name: str, head: str, parts: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (exercise, "" where it passed, else why not, in words that follow "yours") of each answer in turn.

    After an answer that brings its process down, or does not come to an end, there is nothing more.

    Args:
      folder: where the module will lie: what lies beside it can be imported.
      name: of the module.
      head: its imports.
      parts: {"id": exercise, "text": what defines it, "own": whether it is to be judged}.
    """
    command = [sys.executable, "-m", "vqtutor.mine.trial"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "VQTUTOR_PROGRESS_BAR": "off"}
    request = json.dumps({"name": name, "head": head, "parts": list(parts)})
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, env=environment, text=True, encoding="utf-8"
    ) as process:
        lines: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=lambda: [lines.put(line) for line in chain(process.stdout, [""])], daemon=True).start()
        try:
            process.stdin.write(request)
            process.stdin.close()
            for part in parts:
                line = lines.get(timeout=PATIENCE)
                if not line:
                    yield part["id"], "ends Python when it is defined or called"
                    return
                yield part["id"], json.loads(line)
        except queue.Empty:
            yield part["id"], "does not come to an end"
        finally:
            process.kill()
