"""What the routes share: the engine once it is there, the options, the counters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ta_serve.config import Settings
from ta_serve.engines.protocol import Engine, Failed, Stats
from tunedassist_api.answers.admission import Admission
from tunedassist_api.answers.answer import Answer
from tunedassist_api.config import Config
from tunedassist_api.guard import Guard
from tunedassist_api.keys import KeyRing
from tunedassist_api.metrics import Metrics
from tunedassist_api.rate_limit import RateLimit
from tunedassist_api.retrieval import Retrieval
from tunedassist_api.wire.errors import ApiError


class Service:
    """One server's state."""

    def __init__(
        self, config: Config, keys: KeyRing, guard: Guard | None = None, retrieval: Retrieval | None = None
    ) -> None:
        self.config, self.keys, self.guard, self.retrieval = config, keys, guard, retrieval
        self.engine: Engine | None = None
        self.settings = Settings()
        self.admission = Admission(config.parallel, config.max_queue)
        self.rate_limit = RateLimit()
        self.metrics = Metrics(self.stats)
        self._answers: set[Answer] = set()

    def use(self, engine: Engine, settings: Settings) -> None:
        """The model is loaded."""
        self.settings, self.engine = settings, engine

    def require_engine(self) -> Engine:
        """The engine. Raises ApiError 503 while it is loading."""
        if self.engine is None:
            raise ApiError(503, "the model is still loading", code="loading", headers={"retry-after": "2"})
        return self.engine

    def stats(self) -> Stats | None:
        """The engine's; None while it is loading."""
        return self.engine.stats() if self.engine is not None else None

    def model_ids(self) -> dict[str, str]:
        """Model ids on the wire and their names in the engine; empty while it is loading."""
        names = self.engine.models() if self.engine is not None else []
        return {self._id(name, names[0]): name for name in names}

    def _id(self, name: str, base: str) -> str:
        """The server's own name stands for the base model's; another server's other models keep theirs."""
        if name == base or name.startswith(f"{base}:"):
            return self.config.name + name.removeprefix(base)
        return name

    def find_model(self, wanted: str | None) -> tuple[str, str]:
        """(id on the wire, name in the engine). Raises ApiError 404, or 503 while it is loading."""
        self.require_engine()
        ids = self.model_ids()
        name = next(iter(ids)) if wanted is None else wanted
        if name not in ids:
            raise ApiError(
                404,
                f"The model {name!r} does not exist: this server has {', '.join(ids)}.",
                code="model_not_found",
                param="model",
            )
        return name, ids[name]

    @asynccontextmanager
    async def running(self, answer: Answer) -> AsyncIterator[None]:
        """While it lasts, `stop_answers` reaches the answer."""
        async with answer:
            self._answers.add(answer)
            try:
                yield
            finally:
                self._answers.discard(answer)

    def stop_answers(self) -> None:
        """End what still runs with a clean error."""
        for answer in self._answers:
            answer.fail(Failed("closed", "the server is shutting down"))
