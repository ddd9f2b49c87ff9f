"""Versions of a dataset: what changed, where a row came from, forgetting a source, taking feedback in."""
