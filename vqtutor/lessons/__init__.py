"""The lessons in order, each a folder here, and look-up of exercises and questions by id."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

from vqtutor.checking.exercise import Exercise, FreeText, Question


@dataclass(frozen=True)
class Lesson:
    """A lesson. Its modules are imported when one of its exercises or questions is first used.

    Args:
      slug: its folder here, and the first part of its ids.
      notebook: its notebook's name, which begins with its number.
      title: its heading.
      exercises, questions, free_texts: their names, in the notebook's order.
      puzzles: names of the exercises at its end that earn a bonus.
    """

    slug: str
    notebook: str
    title: str
    exercises: tuple[str, ...]
    questions: tuple[str, ...]
    free_texts: tuple[str, ...] = ()
    puzzles: tuple[str, ...] = ()

    @property
    def blanks(self) -> tuple[str, ...]:
        """Exercises, then puzzles."""
        return self.exercises + self.puzzles

    @property
    def number(self) -> str:
        """Its place in the course: "00", "00b", "01"."""
        return self.notebook.split("_")[0]

    def module(self, name: str) -> ModuleType:
        """Return a module of the lesson's folder: "exercises", "questions" or "probes"."""
        return import_module(f"vqtutor.lessons.{self.slug}.{name}")


LESSONS = (
    Lesson(
        slug="start",
        notebook="00_start_here",
        title="Start here",
        exercises=("to_unit_range",),
        questions=("q_discrete", "q_fewer"),
        puzzles=("two_greys",),
    ),
    Lesson(
        slug="primer",
        notebook="00b_primer",
        title="A primer",
        exercises=(
            "all_differences",
            "weighted_mean",
            "drop_some",
            "slide",
            "mean_nats",
            "Counted",
            "descend",
        ),
        questions=(
            "q_shapes",
            "q_gradient",
            "q_jit",
            "q_key",
            "q_convolution",
            "q_nats",
            "q_transform",
            "q_step",
        ),
        puzzles=("reveal_kernel",),
    ),
    Lesson(
        slug="quantizer",
        notebook="01_quantizer",
        title="The quantizer",
        exercises=(
            "squared_distances",
            "nearest_code",
            "look_up",
            "straight_through",
            "VectorQuantizer",
            "gradient_reach",
        ),
        questions=("q_flat", "q_leak", "q_distance"),
        free_texts=("borders",),
        puzzles=(
            "as_products",
            "two_faced",
        ),
    ),
    Lesson(
        slug="losses",
        notebook="02_losses",
        title="The losses",
        exercises=(
            "reconstruction_loss",
            "codebook_loss",
            "commitment_loss",
            "vq_loss",
            "repair_quantizer",
            "bernoulli_nll",
            "uniform_prior_nats",
            "perplexity",
        ),
        questions=("q_line", "q_beta_zero", "q_perplexity", "q_constant"),
        free_texts=("two_measures",),
        puzzles=("worth_of_place",),
    ),
    Lesson(
        slug="vqvae",
        notebook="03_vqvae",
        title="The VQ-VAE",
        exercises=(
            "code_map_shape",
            "bits_per_image",
            "Encoder",
            "Decoder",
            "make_train_step",
        ),
        questions=("q_shape", "q_codes", "q_discrete", "q_use"),
        free_texts=("one_code",),
        puzzles=("patch_of", "touches"),
    ),
    Lesson(
        slug="ema",
        notebook="04_ema_codebook",
        title="The EMA codebook",
        exercises=(
            "batch_statistics",
            "smooth_counts",
            "update_codebook",
            "repair_start",
            "EMAVectorQuantizer",
            "restart_dead_codes",
        ),
        questions=("q_decay", "q_debias", "q_line", "q_one_latent"),
        free_texts=("ten_times",),
        puzzles=("cheapest_merge",),
    ),
    Lesson(
        slug="pixelcnn",
        notebook="05_pixelcnn_prior",
        title="A prior over code maps",
        exercises=(
            "causal_mask",
            "MaskedConv2D",
            "receptive_field",
            "prior_loss",
            "nats_to_bits_per_image",
            "sample",
        ),
        questions=("q_once", "q_blind", "q_edges", "q_suspects", "q_temperature", "q_depth"),
        free_texts=("never_a_nine",),
        puzzles=("waves", "temperature_for"),
    ),
    Lesson(
        slug="gated",
        notebook="06_gated_pixelcnn",
        title="Two stacks, gates, and digits on demand",
        exercises=(
            "stack_masks",
            "gate",
            "GatedBlock",
            "complete",
        ),
        questions=("q_one_way", "q_suspects", "q_equal_time", "q_labels", "q_condition"),
        free_texts=("left_half",),
        puzzles=("which_class", "guide"),
    ),
    Lesson(
        slug="beyond",
        notebook="07_beyond",
        title="What came after",
        exercises=(
            "k_means",
            "cosine_look_up",
            "rotate_to",
            "finite_scalar_quantize",
            "residual_quantize",
            "repair_stages",
        ),
        questions=("q_opposite", "q_line", "q_bits", "q_spread"),
        free_texts=("which_one",),
        puzzles=("from_index",),
    ),
    Lesson(
        slug="codec",
        notebook="08_codec",
        title="A picture format of your own",
        exercises=(
            "frequencies",
            "encode_maps",
            "decode_maps",
            "overhead",
            "fingerprint",
            "read_file",
        ),
        questions=("q_zero", "q_order", "q_digits", "q_label"),
        free_texts=("verdict", "own_choice"),
        puzzles=("safe_shift",),
    ),
)


class _ById(Mapping):
    """{id: exercise or question} of all lessons, in order. Looking one up imports only its lesson's module."""

    def __init__(self, kind: type, names: Callable[[Lesson], tuple[str, ...]], module: str):
        self._kind, self._module = kind, module
        self._lesson = {f"{lesson.slug}.{name}": lesson for lesson in LESSONS for name in names(lesson)}

    def __getitem__(self, id: str) -> Any:
        objects = vars(self._lesson[id].module(self._module)).values()
        return next(one for one in objects if isinstance(one, self._kind) and one.id == id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lesson)

    def __len__(self) -> int:
        return len(self._lesson)


EXERCISES: Mapping[str, Exercise] = _ById(Exercise, lambda lesson: lesson.blanks, "exercises")
QUESTIONS: Mapping[str, Question] = _ById(Question, lambda lesson: lesson.questions, "questions")
FREE_TEXTS: Mapping[str, FreeText] = _ById(FreeText, lambda lesson: lesson.free_texts, "questions")


def find(id: str) -> Exercise:
    """Return the exercise with this id, or with this name if only one has it; else raise KeyError with similar ids."""
    matches = [other for other in EXERCISES if id in (other, other.split(".")[1])]
    if len(matches) == 1:
        return EXERCISES[matches[0]]
    close = matches or get_close_matches(str(id), EXERCISES, 3, cutoff=0.3) or list(EXERCISES)[:3]
    raise KeyError(f"There is no exercise {id!r}. Did you mean {' or '.join(close)}?")


def lesson_of(id: str) -> Lesson:
    """Return the lesson that an exercise or a question belongs to."""
    return next(lesson for lesson in LESSONS if lesson.slug == id.split(".")[0])


def earlier_exercises(id: str) -> dict[str, str]:
    """Return {name: id} of all exercises before this one."""
    ids = list(EXERCISES)
    return {other.split(".")[1]: other for other in ids[: ids.index(id)]}


def earlier_blanks(id: str) -> dict[str, str]:
    """Return {name: id} of the exercises before this one in its lesson."""
    return {name: other for name, other in earlier_exercises(id).items() if lesson_of(other) is lesson_of(id)}
