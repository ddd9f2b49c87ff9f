"""Passages that ground answers: what `--index` puts in."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from ta_serve.engines.protocol import Request
from ta_serve.retrieve.ground import Grounded, find, put_in
from ta_serve.retrieve.index import Index
from tunedassist_api.answers.rails import Rails


class Retrieval:
    """An index over the domain's documents."""

    def __init__(self, path: Path) -> None:
        """Raises InputError (nothing to search), SetupError (`ta-serve[retrieve]` is not installed)."""
        self._index = Index.open(path)
        self.name = f"{path.resolve().name}: {len(self._index.documents)} passages"

    async def ground(self, request: Request, rails: Rails) -> tuple[Request, Grounded | None]:
        """The request with passages; those that the guard takes for orders to the model are left out."""
        if request.messages is None:  # a plain prompt has no system prompt to put them into
            return request, None
        hits = await asyncio.to_thread(find, self._index, request.messages)
        passed = [hit for hit in hits if await rails.allows(hit.document.text)]
        grounded = put_in(passed, request.messages)
        return replace(request, messages=grounded.messages), grounded


def added_citations(body: dict[str, Any], grounded: Grounded | None, answer: str) -> dict[str, Any]:
    """With the places of the passages, where there is an index."""
    return body if grounded is None else {**body, "citations": grounded.citations(answer)}
