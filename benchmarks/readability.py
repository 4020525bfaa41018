"""How easy the lessons read: Flesch's reading ease (1948) of their text, lesson by lesson, at several commits.

    python benchmarks/readability.py 5ddc5d1 HEAD

206.835 - 1.015 * words a sentence - 84.6 * syllables a word; higher is easier, and 60 to 70 is plain English. Syllables
are groups of vowels, less a silent e. Headings, code, formulas, addresses of links, tables and pictures are left out.
"""

import json
import re
import subprocess
import sys
from collections import Counter

ROLES = ("opening", "text", "header", "ask", "free_text_header")


def prose(notebook: dict) -> str:
    """Return the sentences of a notebook's text cells."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    texts = ("".join(cell["source"]) for cell in cells if cell["metadata"].get("vqtutor", {}).get("role") in ROLES)
    text = "\n\n".join(texts)
    text = re.sub(r"(?s)\$\$.*?\$\$|\$[^$]*\$|`[^`]*`", " it ", text)  # a formula or a name is a short word
    text = re.sub(r"(?m)^(#|\||\*difficulty).*$|\]\([^)]*\)|[*\[\]]", " ", text)  # headings and tables say no sentences
    return re.sub(r"\n\s*(\n|- |\d+\. )", ". ", text)  # a paragraph, and an item of a list, end a sentence


def syllables(word: str) -> int:
    """Return the groups of vowels of a word, without a silent e at its end; at least 1."""
    return max(1, len(re.findall(r"[aeiouy]+", re.sub(r"(?<=[^aeiouyl])e[sd]?$", "", word.lower()))))


def ease(text: str) -> tuple[float, float, int]:
    """Return Flesch's reading ease, words a sentence, and the number of words."""
    sentences = [words for part in re.split(r"[.!?]+\s", text) if (words := re.findall(r"[A-Za-z']+", part))]
    words = [word for sentence in sentences for word in sentence]
    length, syllable = len(words) / len(sentences), sum(map(syllables, words)) / len(words)
    return 206.835 - 1.015 * length - 84.6 * syllable, length, len(words)


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def main(commits: list[str]) -> None:
    from vqtutor.lessons import QUESTIONS

    names = sorted(name for name in git("ls-files", "solutions").split() if name.endswith(".ipynb"))
    print("reading ease (words a sentence, words)", *commits, sep=" | ")
    for name in names:
        row = []
        for commit in commits:
            if git("ls-tree", "--name-only", commit, name):
                score, length, count = ease(prose(json.loads(git("show", f"{commit}:{name}"))))
                row.append(f"{score:.1f} ({length:.1f}, {count:,})")
            else:
                row.append("-")
        print(name.removeprefix("solutions/").removesuffix(".ipynb"), *row, sep=" | ")
    print("right letters:", dict(sorted(Counter(question.best for question in QUESTIONS.values()).items())))


if __name__ == "__main__":
    main(sys.argv[1:] or ["HEAD"])
