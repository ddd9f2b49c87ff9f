"""OpenAI-compatible API over a tuned assistant. Not there yet: see the README."""
