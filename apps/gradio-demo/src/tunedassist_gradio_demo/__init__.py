"""A tuned assistant in the browser: chat with its rails visible, comparison, reports, lineage."""
