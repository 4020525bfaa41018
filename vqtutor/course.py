"""Run the reference course, judge its answers, and make its pages."""

import html
import json
import time
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from vqtutor import authoring
from vqtutor.lessons import EXERCISES

# nbconvert drops the alternative text in the pictures' metadata.
_PAGE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block data_png -%}
<div class="jp-RenderedImage jp-OutputArea-output" tabindex="0">
<img src="data:image/png;base64,{{ output.data['image/png'] | trim }}"
alt="{{ output.metadata.get('image/png', {}).get('alt', '') | e }}">
</div>
{%- endblock data_png -%}
"""


def run(folder: Path) -> int:
    """Execute every solution, judge every answer in it, train R1 for two epochs; write pages to build/course/.

    Returns: 0, or 1 if something failed, which is printed; the pages are written in either case.
    """
    out = folder / "build" / "course"
    out.mkdir(parents=True, exist_ok=True)
    authoring.quiet(folder, anew=True)
    rows, failures, pages = [], [], []
    for path in authoring.lessons(folder):
        start = time.monotonic()
        notebook, verdicts = _execute(path, folder, out)
        authoring.write(notebook, out / path.name)
        (out / f"{path.stem}.html").write_text(_html(notebook, path.stem), encoding="utf-8")
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
        pages.append((path.stem, notebook))
    start = time.monotonic()
    rows.append(("R1's autoencoder", f"2 epochs, {_train(out)}", "", f"{time.monotonic() - start:.1f}"))
    _write_index(out, pages, rows)
    print(_table([("lesson", "exercise", "points", "seconds"), *rows]))
    print(f"\nThe pages are in {out / 'index.html'}")
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


def _html(notebook: NotebookNode, name: str) -> str:
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(raw_template=_PAGE).from_notebook_node(
        authoring.still(notebook), {"metadata": {"name": name}}
    )
    return page


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


def _write_index(out: Path, pages: list[tuple[str, NotebookNode]], rows: list[tuple[str, ...]]) -> None:
    links = "\n".join(
        f'<li><a href="{name}.html">{name.split("_")[0]}: '
        f"{html.escape(notebook.cells[0].source.splitlines()[0].lstrip('# '))}</a></li>"
        for name, notebook in pages
    )
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(first)}</th>' + "".join(f"<td>{html.escape(c)}</td>" for c in rest) + "</tr>"
        for first, *rest in rows
    )
    questions = sum(_role(cell) == "question" for _, notebook in pages for cell in notebook.cells)
    (out / "index.html").write_text(
        f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>vqtutor</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}} th,td{{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ccc}}
img{{max-width:100%}}</style></head>
<body>
<h1>Vector-quantized autoencoders, built by hand</h1>
<p>The reference course as it just ran here: {len(pages)} lessons, {questions} questions.</p>
<h2>Lessons</h2>
<ul>{links}</ul>
<h2>R1's autoencoder after two epochs on the built-in digits</h2>
<img src="reconstructions.png" alt="Ten test images, and below them what the autoencoder makes of their 49 codes.">
<h2>What was judged</h2>
<table><thead><tr><th scope="col">lesson</th><th scope="col">exercise</th><th scope="col">points</th>
<th scope="col">seconds</th></tr></thead><tbody>{body}</tbody></table>
</body></html>
""",
        encoding="utf-8",
    )
