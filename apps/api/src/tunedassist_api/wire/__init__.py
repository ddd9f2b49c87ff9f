"""The formats on the wire: what OpenAI documents, as pydantic models and plain dicts."""
