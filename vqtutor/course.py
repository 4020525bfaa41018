"""Run the reference course, judge its answers, and make its pages."""

import json
import time
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from vqtutor import authoring, site
from vqtutor.lessons import EXERCISES


def run(folder: Path) -> int:
    """Execute every solution, judge every answer in it, train R1 for two epochs; write the site to build/course/.

    The executed notebooks, a log of the verdicts and a report lie in build/run/.

    Returns: 0, or 1 if something failed, which is printed; the pages are written in either case.
    Raises:
      ValueError: what makes the pages is not installed.
    """
    site.require()
    out = folder / "build" / "run"
    out.mkdir(parents=True, exist_ok=True)
    authoring.quiet(folder, anew=True)
    rows, failures, notebooks = [], [], {}
    for path in authoring.lessons(folder):
        start = time.monotonic()
        notebook, verdicts = _execute(path, folder, out)
        authoring.write(notebook, out / path.name)
        failures += [f"{path.name}, cell {cell!r}: {sentence}" for cell, sentence in _errors(notebook)]
        exercises = [authoring.about(cell)["exercise"] for cell in notebook.cells if _role(cell) == "check"]
        for exercise in exercises:
            verdict = verdicts.get(exercise)
            if verdict is None:
                failures.append(f"{path.name}: {exercise} was not judged.")
            elif not verdict["passed"]:
                failures.append(f"{path.name}: {exercise} is {verdict['state']}.")
            points = f"{verdict['points'] if verdict else 0} of {EXERCISES[exercise].points}"
            rows.append((path.stem, exercise, points, f"{verdict['seconds']:.2f}" if verdict else "-"))
        rows.append((path.stem, "whole lesson", "", f"{time.monotonic() - start:.1f}"))
        notebooks[path.stem] = notebook
    start = time.monotonic()
    rows.append(("The Keras VQ-VAE", f"2 epochs, {_train(out)}", "", f"{time.monotonic() - start:.1f}"))
    rows.insert(0, ("lesson", "exercise", "points", "seconds"))
    _write_report(out, rows)
    print(_table(rows))
    failures += [f"the site: {line}" for line in site.build(folder, notebooks, folder / "build" / "course", out)]
    print(f"\nThe pages are in {folder / 'build' / 'course' / 'index.html'}")
    for failure in failures:
        print(f"Failed: {failure}")
    return 1 if failures else 0


def _role(cell: NotebookNode) -> str | None:
    return authoring.about(cell).get("role")


def _execute(path: Path, folder: Path, out: Path) -> tuple[NotebookNode, dict[str, dict]]:
    log = out / f"{path.stem}.jsonl"
    log.unlink(missing_ok=True)
    notebook = authoring.stamp(authoring.read(path), path.stem, folder)
    with tqdm(total=sum(cell.cell_type == "code" for cell in notebook.cells), desc=path.stem, unit="cell") as bar:
        environment = authoring.quiet(folder) | {"VQTUTOR_LOG": str(log)}
        notebook = authoring.execute(notebook, environment, folder, bar.update, allow_errors=True)
    lines = log.read_text().splitlines() if log.exists() else []
    return notebook, {verdict["exercise"]: verdict for verdict in map(json.loads, lines)}


def _errors(notebook: NotebookNode) -> list[tuple[str, str]]:
    return [
        (cell.id, f"{output.ename}: {output.evalue}")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def _train(out: Path) -> str:
    """Train R1's autoencoder on the built-in digits, draw reconstructions, and return a sentence with the loss."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from vqtutor.data import load_dataset
    from vqtutor.models import autoencoder
    from vqtutor.show import figures
    from vqtutor.training import fit

    data, network, optimizer = load_dataset("strokes"), autoencoder.vqvae(), optax.adam(autoencoder.R1.learning_rate)
    variance = float(np.var(data.train_images / 255.0))
    params = network.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    step = autoencoder.make_train_step(autoencoder.make_loss(network, variance=variance), optimizer)
    run = fit(step, (params, optimizer.init(params)), data.train_images, epochs=2, prepare=autoencoder.prepare)
    images = autoencoder.prepare(jnp.asarray(data.test_images[:10]))
    reconstructions = jax.jit(network.apply)(run.state[0], images)["x_hat"]
    figures.reconstructions(images[..., 0] + 0.5, reconstructions[..., 0] + 0.5).save(out / "reconstructions.png")
    return f"reconstruction {run.history['reconstruction'][-50:].mean():.3f} of the variance"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _write_report(out: Path, rows: list[tuple[str, ...]]) -> None:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    (out / "report.md").write_text(
        "# What was judged\n\n"
        "All lessons just ran on this machine, from top to bottom, on the built-in digits.\n\n"
        "![Ten test images, and below them what the autoencoder makes of their 49 codes.](reconstructions.png)\n\n"
        "*The Keras VQ-VAE after two epochs on the built-in digits.*\n\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )
