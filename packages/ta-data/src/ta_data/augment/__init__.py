"""Synthetic rows: by a teacher behind an OpenAI-compatible URL, or by templates without one."""
