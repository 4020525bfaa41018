"""Small changes of the right answers: the checks notice them, and say what is off."""

import random
from collections import Counter

import pytest

from vqtutor.lessons import EXERCISES, LESSONS
from vqtutor.mutants import Fate, mutants, trial

SAMPLE = 1  # of each exercise; `make mutants` tries them all


@pytest.mark.parametrize("id", EXERCISES)
def test_mutants_are_not_accepted(id):
    chosen = random.Random(id).sample(sorted(mutants(id), key=lambda one: one.change), SAMPLE)
    for one in map(trial, chosen):
        assert one.fate != Fate.SURVIVED, one.mutant.change
        assert one.fate not in (Fate.NAMED, Fate.SLIP, Fate.RELATED) or one.message


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_what_is_listed_as_equal_is_a_mutant(lesson):
    for name, reasons in lesson.module("equal").EQUAL.items():
        changes = [one.change for one in mutants(f"{lesson.slug}.{name}")]
        for part, reason in reasons.items():
            assert any(part in change for change in changes), f"{name}: no mutant is {part!r}"
            assert reason


def test_there_are_many_mutants_of_many_kinds():
    kinds = Counter(one.slip.name for id in EXERCISES for one in mutants(id))
    assert sum(kinds.values()) > 1500 and len(kinds) > 150
    text = "\n".join(one.change for one in mutants("ema.restart_dead_codes"))
    for change in ("`counts < threshold` -> `counts <= threshold`", "dropped", "stop_gradient", "squeeze", "[:1]"):
        assert change in text
