"""Merging: adapters into their base model, or several adapters into one."""
