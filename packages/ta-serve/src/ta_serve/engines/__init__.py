"""Engines behind one protocol (`protocol.py`): llama_cpp, transformers, openai_http, ollama, xllamacpp."""
