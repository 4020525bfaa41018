"""How an answer is judged: probes, misconceptions, verdicts, cards. Nothing here is specific to VQ-VAEs."""

from vqtutor.checking.exercise import Exercise, FreeText, Misconception, Probe, Question, State
from vqtutor.checking.judge import CheckFailed, ProbeVerdict, Verdict, judge
from vqtutor.checking.probe import Observation, Problem, observe

__all__ = [
    "CheckFailed",
    "Exercise",
    "FreeText",
    "Misconception",
    "Observation",
    "Probe",
    "ProbeVerdict",
    "Problem",
    "Question",
    "State",
    "Verdict",
    "judge",
    "observe",
]
