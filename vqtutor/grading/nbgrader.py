"""Use with nbgrader: make its course folder, and write points into its gradebook."""

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
    """Make a course folder for nbgrader: source/LESSON/LESSON.ipynb from solutions/, and its settings."""
    for path in authoring.lessons(course):
        if path.stem in lessons:
            (folder / "source" / path.stem).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "source" / path.stem)
    (folder / "nbgrader_config.py").write_text(_CONFIG)


def open_gradebook(address: str):
    """Return nbgrader's gradebook at a database's address, such as "sqlite:///gradebook.db"."""
    from nbgrader.api import Gradebook

    # nbgrader calls the command `alembic`, which is installed next to this Python, perhaps not on the path.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Gradebook(address)


def export(report: Path, gradebook: str, course: Path) -> int:
    """Write a report's points into nbgrader's gradebook, and return how many.

    Missing students, assignments (one per lesson, with its name) and cells are added. Points given by hand, and free
    text, are not changed.

    Args:
      report: the folder that `vqtutor grade` wrote.
      gradebook: the database's address, such as "sqlite:///gradebook.db".
      course: the folder with solutions/, which has the cells' names.
    Raises:
      FileNotFoundError: there is no report; the message is a sentence.
    """
    file = report / "grades.json"
    if not file.exists():
        raise FileNotFoundError(f"There is no grades.json in {report}: run `vqtutor grade ... --out {report}` first.")
    students, cells = json.loads(file.read_text(encoding="utf-8"))["students"], {}
    for path in authoring.lessons(course):
        for cell in authoring.read(path).cells:
            if authoring.about(cell).get("role") == "check":
                cells[authoring.about(cell)["exercise"]] = path.stem, cell.id
    ids = {id for entry in students.values() for id in entry["exercises"]}
    count = 0
    with open_gradebook(gradebook) as book:
        for id in (id for id in cells if id in ids):
            lesson, name = cells[id]
            book.update_or_create_assignment(lesson)
            book.update_or_create_notebook(lesson, lesson)
            points = EXERCISES[id].points
            book.update_or_create_grade_cell(name, lesson, lesson, max_score=points, cell_type="code")
        for student, entry in students.items():
            book.update_or_create_student(student)
            for lesson in sorted({cells[id][0] for id in entry["exercises"]}):
                book.update_or_create_submission(lesson, student)
            for id, verdict in entry["exercises"].items():
                lesson, name = cells[id]
                grade = book.find_grade(name, lesson, lesson, student)
                grade.auto_score, grade.needs_manual_grade = verdict["points"], False
                count += 1
        book.db.commit()
    return count
