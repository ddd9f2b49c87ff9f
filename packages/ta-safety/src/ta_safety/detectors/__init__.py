"""Detectors: each looks at one text and says what it found, where and how sure it is. None of them asks a
model."""
