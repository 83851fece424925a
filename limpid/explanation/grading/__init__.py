"""Grading of assignments: each function of a file against a reference."""

from limpid.explanation.grading.grade import Grade, Score, grade_file

__all__ = ["Grade", "Score", "grade_file"]
