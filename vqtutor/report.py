"""A page about a codec that a student made, to show to somebody: one file, readable without a script or a network."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vqtutor.checking import card
from vqtutor.storage import whole_file

NOT_YET = "Not written yet."
_PAGE = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
h1, h2 {{ line-height: 1.25 }}
figure {{ margin: 1.5rem 0 }}
img {{ max-width: 100%; height: auto; background: #fff; border-radius: 6px }}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse }}
caption {{ text-align: left; padding-bottom: .4rem }}
th, td {{ padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid #8888 }}
th:first-child {{ text-align: left }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
<footer><p>Made with vqtutor. Every number and picture on this page was computed in one run.</p></footer>
</body>
</html>
"""


def report_page(
    path: str | Path,
    *,
    title: str,
    words: Mapping[str, str],
    table: Sequence[Mapping[str, Any]] = (),
    caption: str = "",
    pictures: Mapping[str, Any] | None = None,
    language: str = "en",
) -> Path:
    """Write a page about what you made, and return where it is. It is one file, which any browser opens.

    Args:
      path: of the page, such as "codec_report.html".
      title: its heading.
      words: {heading: what you say}, in your own words; blank lines begin new paragraphs, and what is not written yet,
        `...`, is shown as such.
      table: one dict a row, all with the same keys, which become the columns' names; the first names the row.
      caption: what the table shows.
      pictures: {what it shows, in a line: a picture that the course's figures drew}; their words become alternative
        texts.
      language: of your words, as in "en" or "de".
    Raises:
      ValueError: rows have different columns.
    """
    parts = []
    for heading, text in words.items():
        said = NOT_YET if text in (..., "") else str(text)
        paragraphs = (" ".join(one.split()) for one in said.split("\n\n"))
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        parts += [f"<p>{html.escape(one)}</p>" for one in paragraphs if one]
    if table:
        parts += ["<h2>Rate and distortion</h2>", _table(table, caption)]
    for said, picture in (pictures or {}).items():
        source = base64.b64encode(picture.png).decode()
        image = f'<img alt="{html.escape(picture.alt, quote=True)}" src="data:image/png;base64,{source}">'
        parts.append(f"<figure>{image}<figcaption>{html.escape(said)}</figcaption></figure>")
    page = _PAGE.format(title=html.escape(title), body="\n".join(parts), language=html.escape(language, quote=True))
    path = Path(path)
    with whole_file(path) as file:
        file.write(page.encode())
    open_ = [heading for heading, text in words.items() if text in (..., "")]
    lines = (f"Open {path} in a browser, or send it to someone: it is one file.",)
    lines += (f"Not written yet: {', '.join(open_)}.",) if open_ else ()
    card.show(card.Note(f"{path.name} is written", lines))
    return path


def _table(rows: Sequence[Mapping[str, Any]], caption: str) -> str:
    columns = list(rows[0])
    if any(list(row) != columns for row in rows):
        raise ValueError("All rows of a table have the same columns, in the same order.")
    head = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(str(row[columns[0]]))}</th>'
        + "".join(f"<td>{html.escape(_said(row[name]))}</td>" for name in columns[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div role="group" aria-label="table" tabindex="0"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _said(value: Any) -> str:
    number = isinstance(value, (float, np.floating))
    return f"{value:,.0f}" if number and abs(value) >= 100 else f"{value:.3g}" if number else str(value)
