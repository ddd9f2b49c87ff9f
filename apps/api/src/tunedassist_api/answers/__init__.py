"""The way of a request through the engine and back."""
