"""Prompt injection and jailbreaks: what a text would be after decoding, known phrases, and a small
classifier."""
