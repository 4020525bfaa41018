"""Going to and from nbgrader: a course laid out for it, and points written into a gradebook that it already has."""

import json
import os
import shutil
import sys
from pathlib import Path

from vqtutor import authoring
from vqtutor.lessons import EXERCISES

_CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "vqtutor"
c.ClearSolutions.code_stub = {"python": "..."}
c.ExecutePreprocessor.timeout = 600
"""


def lay_out(course: Path, folder: Path, lessons: list[str]) -> None:
    """Make a folder that nbgrader takes for a course: source/LESSON/LESSON.ipynb from solutions/, and its settings."""
    for path in authoring.lessons(course):
        if path.stem in lessons:
            (folder / "source" / path.stem).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "source" / path.stem)
    (folder / "nbgrader_config.py").write_text(_CONFIG)


def open_gradebook(address: str):
    """Return nbgrader's gradebook at a database's address, such as "sqlite:///gradebook.db"."""
    from nbgrader.api import Gradebook

    # It calls the command `alembic`, which lies beside this Python and need not be on the path.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Gradebook(address)


def export(report: Path, gradebook: str, course: Path) -> int:
    """Write a report's points into nbgrader's gradebook, and return how many.

    Students, assignments (one a lesson, of the lesson's name) and cells that it does not have yet are added; points
    given by hand and free text stay as they are.

    Args:
      report: what `vqtutor grade` wrote.
      gradebook: the database's address, such as "sqlite:///gradebook.db".
      course: the folder with solutions/, where the cells' names are.
    Raises:
      FileNotFoundError: in a sentence, when there is no report.
    """
    file = report / "grades.json"
    if not file.exists():
        raise FileNotFoundError(f"There is no grades.json in {report}: run `vqtutor grade ... --out {report}` first.")
    students, cells = json.loads(file.read_text(encoding="utf-8"))["students"], {}
    for path in authoring.lessons(course):
        for cell in authoring.read(path).cells:
            if authoring.about(cell).get("role") == "check":
                cells[authoring.about(cell)["exercise"]] = path.stem, cell.id
    asked = {id for found in students.values() for id in found["exercises"]}
    written = 0
    with open_gradebook(gradebook) as book:
        for id in (id for id in cells if id in asked):
            lesson, name = cells[id]
            book.update_or_create_assignment(lesson)
            book.update_or_create_notebook(lesson, lesson)
            points = EXERCISES[id].points
            book.update_or_create_grade_cell(name, lesson, lesson, max_score=points, cell_type="code")
        for student, found in students.items():
            book.update_or_create_student(student)
            for lesson in sorted({cells[id][0] for id in found["exercises"]}):
                book.update_or_create_submission(lesson, student)
            for id, verdict in found["exercises"].items():
                lesson, name = cells[id]
                grade = book.find_grade(name, lesson, lesson, student)
                grade.auto_score, grade.needs_manual_grade = verdict["points"], False
                written += 1
        book.db.commit()
    return written
