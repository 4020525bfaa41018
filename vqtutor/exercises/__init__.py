"""What is asked: every exercise and question of the course as data, one file a lesson, and the way to them by id."""

from difflib import get_close_matches
from itertools import takewhile

from vqtutor.checking import Exercise, Question
from vqtutor.exercises import ema_layer, gated_block, losses, pixelcnn, start, straight_through, vqvae

_LESSONS = (start, straight_through, losses, vqvae, ema_layer, pixelcnn, gated_block)
EXERCISES: dict[str, Exercise] = {e.id: e for lesson in _LESSONS for e in lesson.EXERCISES}
QUESTIONS: dict[str, Question] = {q.id: q for lesson in _LESSONS for q in lesson.QUESTIONS}


def find(id: str) -> Exercise:
    """Return the exercise of this id, or of this name alone; raise KeyError with the nearest ids there are."""
    named = [exercise for exercise in EXERCISES.values() if id in (exercise.id, exercise.name)]
    if len(named) == 1:
        return named[0]
    close = [exercise.id for exercise in named]
    close = close or get_close_matches(str(id), EXERCISES, 3, cutoff=0.3) or list(EXERCISES)[:3]
    raise KeyError(f"There is no exercise {id!r}. Did you mean {' or '.join(close)}?")


def earlier_exercises(exercise: Exercise) -> dict[str, str]:
    """Return {name: id} of all exercises before this one."""
    return {EXERCISES[id].name: id for id in takewhile(lambda id: id != exercise.id, EXERCISES)}


def earlier_blanks(exercise: Exercise) -> dict[str, str]:
    """Return {name: id} of the exercises before this one in its lesson."""
    return {name: id for name, id in earlier_exercises(exercise).items() if EXERCISES[id].lesson == exercise.lesson}
