"""A control group of Linux for each sandbox, where one can be made: it counts what limits on a process do not.

Version 2 as root, or below a folder that systemd has handed to this user (`systemd-run --user --scope -p Delegate=yes`
asks for one); version 1 as root. Elsewhere worker.py's limits on address space and processes stand alone.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

# A file that tells that a group has a controller, in version 2 and in version 1.
_HAS = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max", "pids.max")}
_numbers = count()


def _places(proc: Path) -> Iterator[tuple[list[Path], tuple[str, ...]]]:
    """Yield (this process's group and those above it, its controllers) of each hierarchy."""
    tops = {}
    for line in (proc / "mountinfo").read_text().splitlines():
        fields = line.split()
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        names = [""] if kind == "cgroup2" else [name for name in _HAS if kind == "cgroup" and name in options]
        tops |= {name: Path(fields[4]) for name in names}
    for line in (proc / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name in tops:
                folder = tops[name] / path.strip("/")
                above = [one for one in (folder, *folder.parents) if one.is_relative_to(tops[name])]
                yield above, (name,) if name else tuple(_HAS)


def _made(places: list[Path], files: set[str]) -> Path | None:
    """Return a new group that has one of these files, in the first place that gives one.

    In version 2 that is seldom this process's own group: a group with processes in it passes no controller on.
    """
    name = f"vqtutor-{os.getpid()}-{next(_numbers)}"
    for place in places:
        with suppress(OSError):
            (place / name).mkdir()
            if any((place / name / file).exists() for file in files):
                return place / name
            (place / name).rmdir()
    return None


def _sweep(places: list[Path]) -> None:
    """Remove groups of graders that were killed. One that still has a process stays: it cannot be removed."""
    for left in (left for place in places for left in place.glob("vqtutor-*-*")):
        if not Path("/proc", left.name.split("-")[1]).exists():
            with suppress(OSError):
                left.rmdir()


class Group:
    """The control groups of one sandbox: one in version 2, one for each controller in version 1; perhaps none.

    Args:
      tasks: the most processes and threads.
      proc: what says where this process's groups are.
    """

    def __init__(self, tasks: int, proc: Path = Path("/proc/self")):
        self.folders: list[Path] = []
        with suppress(OSError, ValueError):
            for places, controllers in _places(proc):
                _sweep(places)
                if made := _made(places, {file for name in controllers for file in _HAS[name]}):
                    self.folders.append(made)
        if subprocess.run(self.command(["true"]), stderr=subprocess.DEVNULL).returncode:
            self.close()  # it can be made, and not entered
        self._write("pids.max", tasks)
        self._memory = 0

    def limit_memory(self, most: int) -> None:
        """Let all processes of the group together have `most` bytes, files in memory included."""
        if most != self._memory:
            self._memory = most
            self._write("memory.max", most)
            self._write("memory.swap.max", 0)
            both = "memory.memsw.limit_in_bytes"  # with swap; never less than the other, up or down
            for file in (both, "memory.limit_in_bytes", both):
                self._write(file, most)

    def _write(self, file: str, most: int) -> None:
        for folder in self.folders:
            with suppress(OSError):  # a kernel may not count swap
                if (folder / file).exists():
                    (folder / file).write_text(str(most))

    def command(self, command: list[str]) -> list[str]:
        """Return a command that enters the group and then runs `command`."""
        files = [str(folder / "cgroup.procs") for folder in self.folders]
        enter = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit; shift; done; shift; exec "$@"'
        return ["/bin/sh", "-c", enter, "sh", *files, "--", *command] if files else command

    def close(self) -> None:
        """Remove the groups. Their processes have been killed, and may take a moment to be gone."""
        for folder in self.folders:
            for _ in range(100):
                with suppress(OSError):
                    folder.rmdir()
                if not folder.exists():
                    break
                time.sleep(0.01)
        self.folders = []
