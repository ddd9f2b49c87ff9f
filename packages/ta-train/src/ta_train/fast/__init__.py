"""Our own passes for Llama models on a CPU: the loss and gradients of TRL's trainer, in less time.

What makes the difference, measured lever by lever, stands in the package's README (`just bench-train`).
"""
