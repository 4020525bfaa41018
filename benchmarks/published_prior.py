"""Set priors beside the published one, 1.0174 nats a held-out code, on codes that say as much as the published ones do.

    VQTUTOR_DATA=... nice -n 15 python benchmarks/published_prior.py

One after the other: R1 until its held-out reconstruction is the published .0447, and the published prior on those
codes; R1 to its end, and the course's best prior on those. Two hours beside other work. Stop it whenever you like:
called again, it goes on from what it kept in build/published.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "published"
STOPPED, WHOLE = FOLDER / "r1-stopped.npz", FOLDER / "r1.npz"


def reproduce(*arguments: str | Path) -> None:
    """Run reproduce.py, and keep what it says beside its checkpoints."""
    print("\n$ reproduce.py", *arguments, flush=True)
    command = [sys.executable, ROOT / "benchmarks" / "reproduce.py", *arguments]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    print(told, flush=True)
    (FOLDER / f"{arguments[0]}.txt").write_text(told)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    reproduce("R1-prior", "--stop-at", "0.0447", "--autoencoder", STOPPED, "--checkpoint", FOLDER / "prior.npz")
    if not WHOLE.exists():
        shutil.copy(STOPPED, WHOLE)
    reproduce("R1", "--checkpoint", WHOLE)
    reproduce("R1-best-prior", "--autoencoder", WHOLE, "--checkpoint", FOLDER / "best-prior.npz")
