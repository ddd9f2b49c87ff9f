"""Readers: raw files in, conversations out."""
