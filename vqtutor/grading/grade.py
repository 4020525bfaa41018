"""vqtutor grade: run every answer of a class in a sandbox, judge it outside, and store its verdict at once."""

import hashlib
import secrets
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vqtutor.checking import Exercise, Observation, State, Verdict
from vqtutor.checking.judge import agree, judge_observations
from vqtutor.grading import pages
from vqtutor.grading.collect import Answer, collect
from vqtutor.grading.gradebook import Gradebook
from vqtutor.grading.owners import Roster
from vqtutor.grading.sandbox import Limits, Outcome, Reply, Sandbox, SandboxError, unpack
from vqtutor.lessons import EXERCISES
from vqtutor.storage import cache_folder, whole_file

_APART = "Something that your answer needs does not run apart from its notebook; your instructor looks at it by hand."
_REMEMBERED = (
    "Your code is right with the numbers of its check, and wrong with others that were drawn for this run: "
    "does it compute its result, or remember it?"
)
IN_FLIGHT = 4  # tasks that wait for each worker: enough to keep it busy, with little memory


@cache
def course_version() -> str:
    """Return a digest of all that verdicts depend on: the course's code and the versions of its libraries."""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(__file__).parents[1].rglob("*.*") if path.suffix in (".py", ".json")):
        alone = path.stem in ("sandbox", "worker", "collect", "owners", "source")
        if alone or {"checking", "lessons", "models"} & set(path.parts):
            digest.update(path.read_bytes())
    for name in ("jax", "jaxlib", "dm-haiku", "optax", "numpy"):
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()[:16]


def names_nothing(unbound: Iterable[str], sentence: str) -> bool:
    """Whether a sentence is about a name that nothing in the notebook defines: the answer fails there as well."""
    return any(f"name '{name}' is not defined" in sentence for name in unbound)


def by_hand(answer: Answer, error: Exception) -> dict[str, Any]:
    """Return the verdict on an answer that could not be judged, so that somebody looks at it."""
    sentence = f"This answer could not be judged ({type(error).__name__}); your instructor looks at it by hand."
    verdict = Verdict(answer.exercise, State.NOT_YET, 0, EXERCISES[answer.exercise].points, message=sentence)
    return asdict(verdict) | {"outcome": Outcome.BY_HAND, "problem": ""}


@dataclass
class Grader:
    """Judges answers by running them in sandboxes, one per thread.

    Args:
      limits: on every answer.
      unsafe: run without bubblewrap.
      memory: the folder for observations of the course's own answers; by default in the user's cache.
    """

    limits: Limits = field(default_factory=Limits)
    unsafe: bool = False
    memory: Path | None = None

    @property
    def version(self) -> str:
        """All that verdicts depend on besides the answers."""
        return f"{course_version()} {self.limits} {self.unsafe}"

    def key_of(self, answer: Answer) -> str:
        """Return the key of an answer's verdict; equal answers of different students have the same key."""
        parts = [self.version, answer.exercise, answer.source, answer.problem, *answer.unbound]
        parts += map(str, answer.given)
        parts += map(str, answer.others)
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()

    def __post_init__(self):
        self.memory = (self.memory or cache_folder() / "grading") / course_version()
        self._idle: dict[bool, list[Sandbox]] = {True: [], False: []}
        self._locks: dict[tuple[Exercise, int], threading.Lock] = {}
        self._lock = threading.Lock()
        self._replies: dict[tuple[Exercise, int], Reply] = {}
        self._seed = secrets.randbits(32)  # no answer can know it

    @contextmanager
    def box(self, own: bool = False) -> Iterator[Sandbox]:
        """Lend an idle sandbox, or a new one; with `own`, one for the course's own answers."""
        with self._lock:
            idle = self._idle[own]
            box = idle.pop() if idle else None
        box = box or Sandbox(self.memory / "programs", self.unsafe, own)
        try:
            yield box
        except BaseException:
            box.stop()  # a reply may be left in it
            raise
        finally:
            with self._lock:
                idle.append(box)

    def close(self) -> None:
        for box in sum(self._idle.values(), []):
            box.close()

    def look(self, exercise: Exercise, answer: Any) -> tuple[Observation, ...]:
        """Return the observations of the reference or of a misconception's answer; they are made once, and stored."""
        return self._look(exercise, exercise.catalogue.index(answer)).observations

    def _look(self, exercise: Exercise, number: int, shaken: bool = False) -> Reply:
        """Return what a run of the catalogue's answer shows; `shaken` by this run's seed is made in this run."""
        key = exercise, number
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            reply = self._replies.get(key)
            if reply is None or (shaken and not reply.shaken):
                reply = self._replies[key] = self._look_now(exercise, number, shaken)
            return reply

    def _look_now(self, exercise: Exercise, number: int, shaken: bool) -> Reply:
        file = self.memory / f"{exercise.id}-{number}.json"
        if file.exists() and not shaken:
            return replace(unpack(exercise, file.read_bytes()), shaken=())  # by the seed of another run
        with self.box(own=True) as box:
            reply, text = box.run_own(exercise, number, self.limits, self._seed)
        if reply.outcome != Outcome.OBSERVED:
            raise SandboxError(
                f"The course's own answer to {exercise.id} does not run here ({reply.sentence}) "
                "It may need more: --memory 8."
            )
        with whole_file(file) as part:
            part.write(text)
        return reply

    def prepare(self, exercise: Exercise) -> None:
        """Observe the reference and a wrong answer; the programs that they compile are used for students' answers."""
        self.look(exercise, exercise.reference)
        self.look(exercise, exercise.misconceptions[0].answer)

    def judge(self, answer: Answer) -> dict[str, Any]:
        """Return the verdict on an answer as plain data, with the `outcome` in the sandbox and the first `problem`."""
        try:
            with np.errstate(all="ignore"):  # what comes back may hold any number
                return self._judge(answer)
        except Exception as error:  # what an answer sends back is its own choice, and must not stop the class
            return by_hand(answer, error)

    def _judge(self, answer: Answer) -> dict[str, Any]:
        verdict = self._judge_once(answer)
        for source, given, needs_error in answer.others:
            if verdict["state"] == State.PASSED or (needs_error and not verdict["problem"].endswith("Error")):
                continue
            again = self._judge_once(replace(answer, source=source, given=given))
            verdict = again if again["state"] == State.PASSED else verdict
        return verdict

    def _judge_once(self, answer: Answer) -> dict[str, Any]:
        exercise = EXERCISES[answer.exercise]
        if answer.problem:
            reply = Reply(Outcome.CRASH, answer.problem)
        elif not answer.source:
            reply = Reply(Outcome.MISSING, f"There is no {exercise.name} in the notebook.")
        else:
            with self.box() as box:
                reply = box.run(exercise, answer.source, self.limits, answer.given, self._seed)
        if reply.outcome == Outcome.OBSERVED:
            verdict = judge_observations(exercise, reply.observations, self.look)
            if verdict.passed and not self._computes(exercise, reply):
                verdict = Verdict(exercise.id, State.NOT_YET, 0, exercise.points, message=_REMEMBERED)
        else:
            state = State.OPEN if reply.outcome in (Outcome.OPEN, Outcome.MISSING) else State.NOT_YET
            verdict = Verdict(exercise.id, state, 0, exercise.points, message=reply.sentence)
        problems, outcome = [one.error or one.problem for one in reply.observations if one.problem], reply.outcome
        sentences = [one.sentence for one in reply.observations if one.problem]
        crashed = outcome == Outcome.CRASH and not answer.problem
        failed = crashed or (outcome == Outcome.OBSERVED and reply.sentence and not verdict.passed)
        if failed and not names_nothing(answer.unbound, reply.sentence):
            outcome = Outcome.APART
            verdict = replace(verdict, misconception=None, message=f"{_APART}\n{reply.sentence}")
        problem = problems[0] if problems else ""
        if problem == "NameError" and names_nothing(answer.unbound, reply.sentence + sentences[0]):
            problem = "UnboundNameError"  # nobody has to look at it
        return asdict(verdict) | {"outcome": outcome, "problem": problem}

    def _computes(self, exercise: Exercise, reply: Reply) -> bool:
        """Whether an answer that passed is right as well on numbers drawn for this run."""
        right = self._look(exercise, 0, shaken=True).shaken
        return len(right) == len(reply.shaken) and agree(right, reply.shaken)


# -- workers -----------------------------------------------------------------------------------------------------------


def _here(workers: int, grader: Grader, tasks: Iterable[tuple[str, Answer]]) -> Iterator[tuple[str, dict]]:
    """Judge on this machine; yield (key, verdict) in the order in which they finish."""
    waiting: dict[Future, str] = {}

    def finished() -> Iterator[tuple[str, dict]]:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future.result()

    with ThreadPoolExecutor(workers) as pool:
        try:
            for key, answer in tasks:
                waiting[pool.submit(grader.judge, answer)] = key
                if len(waiting) >= IN_FLIGHT * workers:
                    yield from finished()
            while waiting:
                yield from finished()
        finally:
            pool.shutdown(cancel_futures=True)
            grader.close()


@cache
def _grader_of_this_process(limits: Limits, unsafe: bool) -> Grader:
    return Grader(limits, unsafe)


def _judge_there(answer: Answer, limits: Limits, unsafe: bool) -> dict[str, Any]:
    return _grader_of_this_process(limits, unsafe).judge(answer)


def _on_cluster(address: str, grader: Grader, tasks: Iterable[tuple[str, Answer]]) -> Iterator[tuple[str, dict]]:
    """Judge on a Dask cluster. Each answer is a task with its own key, which is run again if its worker is lost."""
    from distributed import Client, as_completed

    with Client(address, timeout="20s") as client:
        theirs = set(client.run(course_version).values())
        if theirs - {course_version()}:
            raise ValueError("A worker of the cluster has another version of the course or its libraries: update it.")
        running, tasks, answers = as_completed(), iter(tasks), {}
        most = IN_FLIGHT * max(1, sum(client.nthreads().values()))

        def add() -> None:
            for key, answer in tasks:
                answers[key] = answer
                running.add(client.submit(_judge_there, answer, grader.limits, grader.unsafe, key=key, retries=3))
                if running.count() >= most:
                    return

        add()
        for future in running:
            answer, error = answers.pop(future.key), future.exception()  # an error: it took four workers with it
            yield future.key, by_hand(answer, error) if error else future.result()
            add()


def grade(
    submissions: Path,
    out: Path,
    workers: int = 2,
    limits: Limits | None = None,
    unsafe: bool = False,
    scheduler: str | None = None,
    progress: bool = True,
    roster: Roster | None = None,
) -> Gradebook:
    """Grade a folder or zip of notebooks; write grades.csv, grades.json, index.html and a page for each student.

    A run that was stopped is continued; on unchanged submissions there is nothing to do.

    Args:
      submissions: see `collect.collect`.
      out: a folder for the report.
      workers: number of answers that run at a time on this machine.
      limits: on each answer.
      unsafe: run without bubblewrap, see `sandbox.bubblewrap`.
      scheduler: the address of a Dask scheduler, to use its workers instead of this machine.
      progress: whether to show a bar.
      roster: of the class, which settles whose a file is.
    Raises:
      SandboxError: there is no sandbox here and `unsafe` is False.
      FileNotFoundError: there is nothing to grade.
      ValueError: the report would lie among the submissions.
    """
    if submissions.resolve() in (out.resolve(), *out.resolve().parents):
        raise ValueError(f"The report would lie among the submissions: name a folder outside {submissions}.")
    grader = Grader(limits or Limits(), unsafe)
    book = Gradebook(out, grader.version)
    found = collect(submissions, book.digests(), roster)
    book.take_in(tqdm(found, desc="reading", unit="file", disable=not progress), grader.key_of, roster)
    with tqdm(total=book.count_open(), desc="grading", unit="answer", disable=not progress) as bar:
        if bar.total:
            if scheduler is None:
                with grader.box():  # raises SandboxError at once if there is none
                    pass
                exercises = [EXERCISES[id] for id in book.open_exercises()]
                with ThreadPoolExecutor(workers) as pool:
                    results = pool.map(grader.prepare, exercises)
                    list(tqdm(results, "what right looks like", len(exercises), unit="exercise", disable=not progress))
                verdicts = _here(workers, grader, book.open_answers())
            else:
                verdicts = _on_cluster(scheduler, grader, book.open_answers())
            for key, verdict in verdicts:
                book.add(key, verdict)
                bar.update()
    pages.write(book, out)
    return book
