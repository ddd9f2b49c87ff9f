"""Browser demo of a tuned assistant. Not there yet: see the README."""
