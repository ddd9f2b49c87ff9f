"""The llama.cpp engine: GGUF models, many conversations in one decode, in a process of its own.

`engine.py` is what callers hold; it starts `worker.py` as a child process, because an assertion of llama.cpp
ends its process, and starts it anew when that happens. In the child one thread owns the model
(`scheduler.py`), another renders and tokenizes what comes in (`intake.py`).
"""
