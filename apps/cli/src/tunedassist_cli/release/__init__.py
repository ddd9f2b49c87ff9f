"""A release: a model that passed the gate, with its reports, model card, bill of materials and licences.

`make_release` in `release.py` is the main path; `tunedassist release` calls it.
"""
