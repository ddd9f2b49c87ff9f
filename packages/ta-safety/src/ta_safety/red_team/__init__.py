"""Attacking an assistant before others do: scenarios of its domain in five styles, raw and guarded."""
