"""`/v1/models`: the base model and its adapters."""

import time

from fastapi import APIRouter

from tunedassist_api.routes.errors import error_responses
from tunedassist_api.service import Service
from tunedassist_api.wire.answers import ModelCard, ModelList

_ERRORS = error_responses(401, 403, 404, 429, 503)


def model_routes(service: Service) -> APIRouter:
    """The list and one of it."""
    router = APIRouter(tags=["models"])
    started = int(time.time())

    def card(model: str) -> ModelCard:
        base = service.config.name
        return ModelCard(
            id=model,
            object="model",
            created=started,
            owned_by="tunedassist",
            root=base,
            parent=None if model == base else base,
        )

    @router.get("/v1/models", responses=_ERRORS)
    async def list_models() -> ModelList:
        """What a request may name as `model`."""
        service.require_engine()
        return ModelList(object="list", data=[card(model) for model in service.model_ids()])

    @router.get("/v1/models/{model:path}", responses=_ERRORS)
    async def retrieve_model(model: str) -> ModelCard:
        """One of them."""
        return card(service.find_model(model)[0])

    return router
