"""Answers from retrieved contexts: `retrieval`, `citations` and `refusals` count; `grounding` asks a judge."""
