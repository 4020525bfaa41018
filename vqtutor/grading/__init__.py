"""Grading a class: what is handed in, a sandbox to run it in, verdicts given outside, and the pages to read."""
