"""The adapter registry: names, aliases, lineage and scores of artifacts, in one SQLite file.

Artifacts stay where they lie; the registry knows them by digest. Lineage comes from their manifests, scores
from `eval-report` artifacts. On the command line: `ta-train registry`.
"""
