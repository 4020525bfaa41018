"""`vqtutor export mine`: everything that passed, as one module that needs no notebook."""

import keyword
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from vqtutor.checking.progress import in_colab
from vqtutor.lessons import EXERCISES, LESSONS, lesson_of
from vqtutor.mine.compose import WIDTH, Import, Module, style
from vqtutor.mine.gather import Part, from_notebooks, from_progress
from vqtutor.mine.judging import ask
from vqtutor.storage import whole_file

NAME = "my_vqvae.py"
# What the autoencoder of vqtutor.train_codec is made of: its argument, and the exercise.
_PARTS = {
    "encoder": "vqvae.Encoder",
    "decoder": "vqvae.Decoder",
    "quantizer": "ema.EMAVectorQuantizer",
    "restart": "ema.restart_dead_codes",
}
# What the module has besides, and what that needs.
_FOOT = "train_codec", "trained_codec", "trained_prior", "save", "load", "reference"
_NEEDS = (
    ("hk", "haiku"),
    ("jax", "jax"),
    ("np", "numpy"),
    ("vqtutor", "vqtutor"),
)
_PIECES = (
    ("redirect_stdout", "contextlib"),
    ("checksum", "vqtutor.models.coding"),
    ("write_file", "vqtutor.models.coding"),
)


def export(
    out: Path = Path(NAME),
    notebooks: Path | None = None,
    force: bool = False,
    tell: Callable[[str], None] = print,
) -> list[Part]:
    """Write a module of the student's own answers, each judged in it; the course's own stand in for the others.

    Args:
      out: the file.
      notebooks: a folder of notebooks, or one; by default the answers come from the progress, as they passed.
      force: whether to replace the file if it exists.
      tell: called with sentences.
    Returns: all exercises; those with a source are the student's.
    Raises:
      FileNotFoundError, ValueError: there is nothing to write, or no place; the message is a sentence.
    """
    out = out.expanduser()
    _refuse(out, force)
    if notebooks is None:
        parts, said = from_progress(), []
    else:
        parts, said = from_notebooks(notebooks.expanduser())
    for sentence in said:
        tell(sentence)
    if not (count := _own(parts)):
        place = "in these notebooks" if notebooks else "on this machine"
        raise ValueError(
            f"There is no answer of yours {place}, so nothing was written: name the folder of your notebooks, "
            "as in vqtutor export mine --notebooks FOLDER."
        )
    tell(f"Judging {count} of your answers once more, in the module; that can take a minute.")
    parts = judged(parts, out)
    if not _own(parts):
        raise ValueError(f"No answer of yours passes, so nothing was written. {' '.join(_missing(parts))}")
    with whole_file(out) as file:
        file.write(written(parts, out.stem).encode())
    tell(f"Wrote {out}: {_own(parts)} of your answers, each of which passes its check in it.")
    for sentence in _missing(parts):
        tell(sentence)
    if in_colab():
        tell("Colab takes this machine away: download the file under Files on the left.")
    return parts


def _own(parts: list[Part]) -> int:
    return sum(bool(part.source) for part in parts)


def _missing(parts: list[Part]) -> list[str]:
    """Return what comes from the course and why, a sentence for each reason; of puzzles only those that were tried."""
    reasons = defaultdict(list)
    for lesson in LESSONS:
        ours = [part for part in parts if lesson_of(part.id) is lesson and not part.source]
        if len(whys := {part.why for part in ours}) == 1 and len(ours) == len(lesson.blanks):
            reasons[whys.pop()].append(f"all of {lesson.notebook}")
            continue
        for part in ours:
            if _is_asked(part) or not part.idle:
                reasons[part.why].append(part.id)
    said = []
    for why, names in reasons.items():
        one = len(names) == 1 and not names[0].startswith("all")
        said.append(f"From the course: {', '.join(names)}; {'yours' if one else 'each of yours'} {why.rstrip('.')}.")
    return said


def _is_asked(part: Part) -> bool:
    """Whether the module has it in any case: what is asked, and not a puzzle."""
    return part.id.split(".")[1] in lesson_of(part.id).exercises


def _refuse(out: Path, force: bool) -> None:
    if out.suffix != ".py" or not out.stem.isidentifier() or keyword.iskeyword(out.stem):
        raise ValueError(f"{out.name} could not be imported: name a file like {NAME}.")
    if out.stem in {"haiku", "jax", "numpy", "optax", "vqtutor", *sys.stdlib_module_names}:
        raise ValueError(f"There is another module called {out.stem}: name a file like {NAME}.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(out.parent)!r}: make it, or name another file with -o.")
    if out.is_dir() or (out.exists() and not force):
        raise ValueError(f"{out} is there already and was left as it is: --force replaces it, -o names another file.")


def judged(parts: list[Part], out: Path) -> list[Part]:
    """Return the exercises without the answers that do not pass in the module, until all that are in it do."""
    while any(part.source for part in parts):
        sections, head = _composed(parts)
        asked = [{"id": part.id, "text": text, "own": bool(part.source)} for part, text in sections]
        answers = ask(str(out.parent.resolve()), out.stem, head, asked)
        bar = tqdm(answers, total=len(asked), unit="answer", delay=2, leave=False)
        failed = {id: why for id, why in bar if why}
        if not failed:
            break
        parts = [part.without(failed[part.id]) if part.id in failed else part for part in parts]
    return parts


def _composed(parts: list[Part]) -> tuple[list[tuple[Part, str]], str]:
    """Return ([(exercise, the text that defines it)] of what the module has, its imports)."""
    module, sections = Module({EXERCISES[part.id].name for part in parts} | {*_FOOT, "checksum", "write_file"}), []
    module.need(
        *(Import(name, target) for name, target in _NEEDS), *(Import(name, target, name) for name, target in _PIECES)
    )
    for part in parts:
        name = EXERCISES[part.id].name
        if part.source:
            sections.append((part, module.add(name, lesson_of(part.id).slug, part.source)))
        elif _is_asked(part):
            module.need(Import("reference", "vqtutor.lessons.answers", "reference"))
            sections.append((part, f'{name} = reference("{part.id}")'))
    return sections, module.head()


def written(parts: list[Part], name: str) -> str:
    """Return the module's text."""
    sections, head = _composed(parts)
    blocks = []
    for lesson in LESSONS:
        blocks.append(_rule(f"{lesson.number} {lesson.title}"))
        why = ""  # of the course's own that come right before
        for part, code in sections:
            if lesson_of(part.id) is not lesson:
                continue
            if part.source:
                blocks.append(code.strip())
            elif part.why == why:
                blocks[-1] += f"\n{code}"
            else:
                blocks.append(f"# The course's own: yours {_short(part.why)}.\n{code}")
            why = part.why
    text = "\n\n\n".join([*blocks, _codec({part.id: part for part in parts})])
    text = f"{_opening(parts, name)}\n\n{head}\n\n{text}\n"
    return style(text) + text


def _rule(words: str) -> str:
    return f"# -- {words} ".ljust(WIDTH, "-")


def _short(why: str) -> str:
    """Return the beginning of a reason, for a comment in one line."""
    return why.split(":")[0].split(" (")[0]


def _opening(parts: list[Part], name: str) -> str:
    others = sum(not part.source and _is_asked(part) for part in parts)
    rest = f"\n{others} more are the course's own; a comment says so.\n" if others else ""
    return f'''"""My VQ-VAE: {_own(parts)} functions and classes that I wrote in the course vqtutor, lesson by lesson.
{rest}
Pictures to code maps, and back:

>>> import vqtutor
>>> import {name}
>>> data = vqtutor.load_dataset()
>>> codec = {name}.train_codec(data.train_images)
>>> code_maps = codec.encode(data.test_images[:10])  # 49 codes a picture
>>> code_maps.shape
(10, 7, 7)
>>> pictures = codec.decode(code_maps)  # from 0, black, to 1, white
>>> pictures.shape
(10, 28, 28, 1)

Pictures to bytes, and back, with weights of a longer training:

>>> codec, prior = {name}.trained_codec(data), {name}.trained_prior(data)
>>> file = {name}.save(data.test_images[:8], data.test_labels[:8], codec, prior)
>>> {name}.load(file, codec, prior).shape
(8, 28, 28, 1)
"""'''


def _codec(whose: dict[str, Part]) -> str:
    mine = {word: id.split(".")[1] for word, id in _PARTS.items() if whose[id].source}
    train = "".join(f"{word}={name}, " for word, name in mine.items())
    trained = "".join(f", {word}={name}" for word, name in mine.items() if word != "restart")
    return f'''{_rule("The autoencoder")}


def train_codec(images, **settings):
    """Train an autoencoder on uint8 [N, 28, 28, 1]; return a vqtutor.Codec, which encodes and decodes.

    Settings are those of vqtutor.train_codec: num_codes, code_dim, steps, batch_size, seed.
    """
    parts = dict({train.rstrip(", ")})
    return vqtutor.train_codec(images, **parts, **settings)


def trained_codec(data):
    """Return a vqtutor.Codec with the weights that come with vqtutor, where they fit the parts above."""
    with redirect_stdout(None):
        return vqtutor.trained_codec(data{trained})


{_rule("Files")}


def trained_prior(data):
    """Return (apply, weights) of a prior over the codes of trained_codec: apply(weights, codes, labels) -> logits."""

    def forward(indices, labels):
        x, told = hk.Linear(16)(jax.nn.one_hot(indices, 64)), jax.nn.one_hot(labels, 10)
        vertical, horizontal = GatedBlock(48, 7, "A", residual=False)(x, x, told)
        for _ in range(4):
            vertical, horizontal = GatedBlock(48, 3, "B", residual=True)(vertical, horizontal, told)
        return hk.Linear(64)(jax.nn.relu(hk.Linear(64)(jax.nn.relu(horizontal))))

    with redirect_stdout(None):
        apply, weights = vqtutor.trained_prior(data, hk.without_apply_rng(hk.transform(forward)))
    return jax.jit(apply), weights


def save(images, labels, codec, prior):
    """Return a file, as bytes, of uint8 [N, 28, 28, 1] whose labels are int [N], from 0 to 9."""
    (apply, weights), maps, writer = prior, codec.encode(images), vqtutor.RangeWriter()
    writer.write(np.asarray(labels), np.ones((len(labels), 10), int))
    encode_maps(lambda maps: apply(weights, maps, labels), maps, writer)
    return write_file(writer.finish(), maps.shape, fingerprint(weights), checksum(maps))


def load(file, codec, prior):
    """Return a file's pictures, float32 [N, 28, 28, 1]; raise ValueError where it is damaged or of another prior."""
    apply, weights = prior
    payload, shape, written = read_file(file, fingerprint(weights))
    reader = vqtutor.RangeReader(payload)
    labels = reader.read(np.ones((shape[0], 10), int))
    maps = decode_maps(lambda maps: apply(weights, maps, labels), shape, reader)
    if checksum(maps) != written:
        raise ValueError("The prior computes something else here than where the file was written.")
    return codec.decode(maps)'''
