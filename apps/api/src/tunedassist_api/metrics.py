"""What Prometheus reads at /metrics."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ta_serve.engines.protocol import Stats
from tunedassist_api.guard import RailEvent

_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.6, 1, 2, 4, 8, 16, 32, 64, 128)
_RAIL_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self, stats: Callable[[], Stats | None]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(EngineCollector(stats))
        self.requests = Counter(
            "tunedassist_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "tunedassist_request_seconds",
            "From the request's arrival to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_token_seconds = Histogram(
            "tunedassist_time_to_first_token_seconds",
            "From submission to the first text, waiting included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rails = Counter(
            "tunedassist_rails", "What rails decided.", ["rail", "stage", "action"], registry=self.registry
        )
        self.rail_seconds = Histogram(
            "tunedassist_rail_seconds",
            "Time of a rail.",
            ["rail"],
            buckets=_RAIL_SECONDS,
            registry=self.registry,
        )

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        self.requests.labels(route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def observe_answer(self, first_token_s: float | None) -> None:
        """An answer is over; None: it never began."""
        if first_token_s is not None:
            self.first_token_seconds.observe(first_token_s)

    def observe_rails(self, events: Iterable[RailEvent]) -> None:
        """Rails have decided."""
        for event in events:
            self.rails.labels(event.rail, event.stage, event.action).inc()
            self.rail_seconds.labels(event.rail).observe(event.milliseconds / 1000)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self.registry)


class EngineCollector(Collector):
    """The engine's own counters, read when they are asked for."""

    def __init__(self, stats: Callable[[], Stats | None]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """One sample each; only `ready` before the model is loaded."""
        stats = self._stats()
        ready = stats is not None and stats.ready
        yield GaugeMetricFamily("tunedassist_engine_ready", "1 when it answers.", value=float(ready))
        if stats is None:
            return
        yield GaugeMetricFamily("tunedassist_engine_running", "Requests decoding.", value=stats.running)
        yield GaugeMetricFamily("tunedassist_engine_waiting", "Requests in the queue.", value=stats.waiting)
        counters = (
            ("tunedassist_engine_restarts", "Times it had to be started again.", stats.restarts),
            ("tunedassist_prompt_tokens", "Prompt tokens.", stats.prompt_tokens),
            ("tunedassist_completion_tokens", "Tokens answered.", stats.completion_tokens),
            ("tunedassist_cached_tokens", "Prompt tokens not computed again.", stats.cached_tokens),
        )
        for name, help_text, value in counters:
            yield CounterMetricFamily(name, help_text, value=value)
