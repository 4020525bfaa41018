"""Grading a class: collect submissions, run them in a sandbox, judge them, and write the report."""
