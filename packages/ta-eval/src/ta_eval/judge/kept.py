"""Judgments that were paid for are kept in the artifact, so that labels that come later cost nothing."""

import shutil
from pathlib import Path

from ta_eval.journal import Journal

PLACE = Path("logs") / "journal.jsonl"
"""In an artifact; logs stay out of its digest."""


def take_over(journal: Journal, out: Path) -> None:
    """Take what the artifact at `out`, which is being replaced, had been told."""
    if (out / PLACE).is_file():
        with Journal(out / PLACE) as earlier:
            journal.add({key: reply for key, reply in earlier.replies.items() if key not in journal.replies})


def keep(journal: Journal, folder: Path) -> None:
    """Copy the journal into an artifact."""
    (folder / PLACE).parent.mkdir(exist_ok=True)
    shutil.copyfile(journal.path, folder / PLACE)
