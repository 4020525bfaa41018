"""Small changes of the right answers: the checks notice them, and say what is off."""

import random
from collections import Counter

import pytest

from vqtutor.checking.judge import _look as catalogue
from vqtutor.checking.slips import alike, fingerprints
from vqtutor.lessons import EXERCISES, LESSONS
from vqtutor.lessons.entries import slips_of
from vqtutor.mutants import Fate, mutants, trial

SAMPLE = 2  # of each exercise; `make mutants` tries them all


@pytest.mark.parametrize("id", EXERCISES)
def test_mutants_are_not_accepted(id):
    chosen = random.Random(id).sample(sorted(mutants(id), key=lambda one: one.change), SAMPLE)
    for one in map(trial, chosen):
        assert one.fate != Fate.SURVIVED, one.mutant.change
        assert one.fate not in (Fate.NAMED, Fate.SLIP, Fate.RELATED) or one.message


@pytest.mark.parametrize("id", EXERCISES)
def test_what_slips_json_keeps_is_what_the_probes_observe_today(id):
    if not slips_of(id):
        pytest.skip("its small mistakes were not tried yet: `vqtutor doctor --mutants` with --write does that")
    right = fingerprints(catalogue(EXERCISES[id], EXERCISES[id].reference))
    assert alike(slips_of(id)["right"], right), "the probes or the answer changed: run `make mutants`"
    for slip in EXERCISES[id].slips:
        assert slip.says.endswith((".", "?")) and slip.look.endswith((".", "?")) and not alike(slip.prints, right)


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
