"""`/healthz`, `/readyz`, `/metrics`."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from tunedassist_api.service import Service


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Queue(BaseModel):
    """Requests inside and how many may be."""

    inside: int
    limit: int


class Readiness(BaseModel):
    """Whether requests are answered now, and what stands around the model."""

    status: Literal["ready", "loading", "restarting", "draining"]
    model: str
    guard: str
    retrieval: str
    queue: Queue


def health_routes(service: Service) -> APIRouter:
    """All three; the first two never ask for a key."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz")
    async def live() -> Health:
        """The process is alive; says nothing of the model."""
        return Health(status="ok")

    @router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
    async def ready() -> Response:
        """200 when a request would be answered now, else 503."""
        status = _status(service)
        body = Readiness(
            status=status,
            model=service.config.name,
            guard=service.guard.name if service.guard else "off: everything passes",
            retrieval=service.retrieval.name if service.retrieval else "off",
            queue=Queue(inside=service.admission.inside, limit=service.admission.limit),
        )
        return JSONResponse(body.model_dump(), 200 if status == "ready" else 503)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus text."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return router


def _status(service: Service) -> Literal["ready", "loading", "restarting", "draining"]:
    stats = service.stats()
    if service.admission.draining:
        return "draining"
    if stats is None:
        return "loading"
    return "ready" if stats.ready else "restarting"
