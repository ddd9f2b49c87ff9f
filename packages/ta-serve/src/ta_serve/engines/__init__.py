"""Engines: one module each. The first runs PyTorch models with `transformers`."""
