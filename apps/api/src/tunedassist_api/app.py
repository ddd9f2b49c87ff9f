"""The application: middleware outside, routes inside, OpenAI's errors everywhere."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from tunedassist_api.middleware.access import Access
from tunedassist_api.middleware.body import BoundedBody
from tunedassist_api.middleware.context import RequestContext
from tunedassist_api.routes.completions import completion_routes
from tunedassist_api.routes.errors import handle_errors
from tunedassist_api.routes.feedback import feedback_routes
from tunedassist_api.routes.health import health_routes
from tunedassist_api.routes.models import model_routes
from tunedassist_api.service import Service

DESCRIPTION = "Chat completions as OpenAI's API gives them, from a model on this machine."


def create_app(service: Service) -> FastAPI:
    """An ASGI application over `service`; its engine may come later (`Service.use`)."""
    config = service.config
    cors = Middleware(
        CORSMiddleware,
        allow_origins=config.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
    )
    app = FastAPIOffline(  # FastAPI, but the page /docs loads its script from here, not from the internet
        title="TunedAssist",
        description=DESCRIPTION,
        version=version("tunedassist-api"),
        redirect_slashes=False,  # a redirected POST loses its body in some clients
        redoc_url=None,
        swagger_ui_parameters={"validatorUrl": None},  # a public site would be asked about our document
        middleware=[
            Middleware(RequestContext, metrics=service.metrics),
            *([cors] if config.cors_origins else []),
            Middleware(Access, service=service),
            Middleware(BoundedBody, max_bytes=config.max_body_bytes),
        ],
    )
    handle_errors(app)
    for routes in (completion_routes, model_routes, feedback_routes, health_routes):
        app.include_router(routes(service))
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """OpenAPI without FastAPI's own 422: wrong fields are 400 here."""

    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            for path in made["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                made["components"]["schemas"].pop(name, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
