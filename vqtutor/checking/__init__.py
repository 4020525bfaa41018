"""How an answer is judged: probes, misconceptions, verdicts, cards. Knows nothing about VQ-VAEs."""

from vqtutor.checking.exercise import Exercise, Misconception, Probe, Question
from vqtutor.checking.judge import CheckFailed, ProbeVerdict, Verdict, judge
from vqtutor.checking.probe import Observation, observe

__all__ = [
    "CheckFailed",
    "Exercise",
    "Misconception",
    "Observation",
    "Probe",
    "ProbeVerdict",
    "Question",
    "Verdict",
    "judge",
    "observe",
]
