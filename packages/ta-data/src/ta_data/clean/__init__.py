"""Cleaning: a step takes rows of any origin and gives rows, a reason for each left out, and counts."""
