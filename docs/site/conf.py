"""Settings of the site; `vqtutor site` copies this folder beside the lessons and builds from there."""

import re
import tomllib
from pathlib import Path

import ziamath
from docutils import nodes
from latex2mathml.converter import convert

import vqtutor

_project = tomllib.loads((Path(vqtutor.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
project = "Vector-quantized autoencoders, built by hand"
version = _project["version"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["notebooks"]

html_theme = "furo"  # contents, previous and next, search, light and dark; all of it lies beside the pages
html_title = project
# The font of formulas, STIX Two Math, comes along: not every system has one that knows the sizes of its signs.
html_static_path = ["static", str(Path(ziamath.__file__).with_name("fonts") / "STIXTwoMath-Regular.ttf")]
html_css_files = ["course.css"]
html_show_sphinx = html_show_copyright = html_use_index = html_domain_indices = html_copy_source = (
    html_show_sourcelink
) = False
html_show_search_summary = False  # which a browser may not fetch from pages that are opened as files
html_theme_options = {"navigation_with_keys": True}
pygments_dark_style = "github-dark"
templates_path = []

nb_execution_mode = "off"  # the notebooks come with their outputs
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
default_role = "literal"  # docstrings mark code with single backticks, as Markdown does


def _plain(app, what, name, obj, options, lines):
    """Docstrings are plain text: nothing in them but backticks is markup, and what is indented stays so."""
    plain = []
    for line in lines:
        parts = re.split(r"(`[^`]*`)", line)
        parts[::2] = [re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", part) for part in parts[::2]]
        line = "".join(parts)
        if re.match(r"(Args|Returns|Raises|Attributes):", line):
            plain.append("")
        plain.append(re.sub(r"^Returns: ", "**Returns:** ", line))
    lines[:] = plain


def _mathml(text: str, display: str) -> str:
    # A thin space after log and exp, which TeX sets and the converter does not.
    return re.sub(r"(<mi>(?:log|exp)</mi>)(?!<mo)", r'\1<mspace width="0.17em" />', convert(text, display=display))


def _inline(self, node):
    self.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(self, node):
    # A wide formula scrolls by itself, also with the keyboard; the page does not.
    self.body.append(f'<div class="formula" tabindex="0" role="group">{_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def _accessible(app, page, template, context, doctree):
    """What scrolls can be reached with the keyboard, and captions of the contents have a level."""
    for part in ("body", "furo_navigation_tree"):
        text = context.get(part) or ""
        chart = r'(<img\b[^>]*\bclass="[^"]*\bchart\b[^>]*>)'
        text = re.sub(chart, r'<span class="wide" tabindex="0" role="group" aria-label="chart">\1</span>', text)
        text = text.replace("<pre>", '<pre tabindex="0">').replace('role="heading"', 'role="heading" aria-level="2"')
        context[part] = text.replace('class="table-wrapper', 'tabindex="0" class="table-wrapper')


def setup(app):
    # Formulas are MathML, made here: browsers draw it and screen readers read it with no script and no font to load.
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-docstring", _plain, priority=100)
    app.connect("html-page-context", _accessible, priority=900)  # after the theme


html_math_renderer = "mathml"
