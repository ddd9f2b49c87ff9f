"""The report of a comparison: JSON for programs, Markdown for a repository, one HTML file for people."""

from ta_eval.report.model import Report
from ta_eval.report.render import render, write_report
from ta_eval.report.words import headline, p_value, percent, points, verdict_sentence

__all__ = ["Report", "headline", "p_value", "percent", "points", "render", "verdict_sentence", "write_report"]
