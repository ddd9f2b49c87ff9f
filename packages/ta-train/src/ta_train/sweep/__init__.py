"""Sweeps: many short runs over a grid or by Optuna, with a table and a plot."""
