"""Listening, loading the model meanwhile, and stopping without cutting anybody off."""

import asyncio
import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

import uvicorn

from ta_schemas import InputError, SetupError
from ta_serve.config import Settings
from ta_serve.engines.protocol import Engine
from tunedassist_api.app import create_app
from tunedassist_api.config import Config
from tunedassist_api.guard import Guard
from tunedassist_api.keys import ENVIRONMENT, KeyRing
from tunedassist_api.logs import event
from tunedassist_api.retrieval import Retrieval
from tunedassist_api.service import Service

_KEEP_ALIVE_S = 75  # longer than the 60 s of common proxies, or they meet closed connections

LOADING_S = 3.0
"""So long a model may load before the server listens: what cannot be loaded is known by then, as a rule."""


class Loaded(NamedTuple):
    """A model that can answer, and how it wants to be asked."""

    engine: Engine
    settings: Settings


def serve(
    load: Callable[[], Loaded],
    config: Config,
    *,
    guard: Guard | None = None,
    retrieval: Retrieval | None = None,
) -> None:
    """Serve until SIGTERM (returns) or Ctrl-C (raises KeyboardInterrupt).

    Listens once the model is loaded, but after LOADING_S at the latest: `/readyz` is 503 from then on until
    `load` has given the engine. Raises what `load` raises, InputError (host, keys), SetupError (port in use).
    """
    keys = KeyRing(config.keys_file, os.environ.get(ENVIRONMENT, ""))
    service = Service(config, keys, guard, retrieval)
    listener = bind(config.host, config.port)
    server = Server(service)
    loader = Loader(load, service, server)
    loader.start()
    loader.loaded.wait(LOADING_S)
    try:
        if loader.error is None:
            listen(listener)
            _announce(service, listener)
            loader.listening.set()
            server.run(sockets=[listener])
    finally:
        listener.close()
        if service.engine is not None:
            service.engine.close()
    if loader.error is not None:
        raise loader.error
    event("stopped")
    if server.interrupted:
        raise KeyboardInterrupt


def bind(host: str, port: int) -> socket.socket:
    """An address of ours that nobody can connect to yet; port 0 takes a free one. Raises InputError (host),
    SetupError (port)."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise InputError(f"--host {host}: no such address") from None
    # Without the protocol asyncio would leave Nagle's algorithm on: 40 ms more for every answer.
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _not_ours(f"{host} port {port}", error) from None
    return listener


def listen(listener: socket.socket) -> None:
    """Accept connections from now on. Raises SetupError: another server began to at the same time."""
    try:
        listener.listen(2048)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _not_ours(f"{host} port {port}", error) from None


def _not_ours(address: str, error: OSError) -> SetupError:
    why = {
        errno.EADDRINUSE: "in use: stop what listens there or name another --port",
        errno.EACCES: "not allowed: choose one above 1023",
        errno.EADDRNOTAVAIL: "not an address of this machine: name another --host",
    }
    return SetupError(f"{address}: {why.get(error.errno or 0, error.strerror)}")


class Server(uvicorn.Server):
    """Uvicorn, with an end that keeps to `drain_s` and exits with 0 after SIGTERM."""

    def __init__(self, service: Service) -> None:
        config = service.config
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http="httptools",
                ws="none",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # rate limits go by the address that really connected
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(config.drain_s) + 5,
            )
        )
        self.service, self.interrupted = service, False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: refuse what is new, finish what runs. Second: leave. Uvicorn's own version would
        raise the signal again at the end, and the exit code would be 143."""
        self.interrupted = sig == signal.SIGINT
        self.service.admission.draining = True
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Running answers go on for `drain_s`, then end with an error their client understands."""
        config, admission = self.service.config, self.service.admission
        event("draining", inside=admission.inside, drain_s=config.drain_s)
        admission.draining = True
        loop = asyncio.get_running_loop()
        timers = (
            loop.call_later(config.drain_s, self.service.stop_answers),
            # Uvicorn asks its connections once; one accepted at that moment would be waited for in vain.
            loop.call_later(0.15, self._close_idle),
        )
        await super().shutdown(sockets)
        for timer in timers:
            timer.cancel()

    def _close_idle(self) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()


class Loader(threading.Thread):
    """Loads the model beside the running server. A daemon: Ctrl-C does not wait for a large file."""

    def __init__(self, load: Callable[[], Loaded], service: Service, server: Server) -> None:
        super().__init__(name="loader", daemon=True)
        self._load, self._service, self._server = load, service, server
        self.error: BaseException | None = None
        self.listening = threading.Event()
        self.loaded = threading.Event()
        """Set when the model is there, or cannot be."""

    def run(self) -> None:
        """Give the service its engine; on an error stop the server, which then raises it."""
        try:
            loaded = self._load()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.error = error
            self._server.should_exit = True
            self.loaded.set()
            return
        self._service.use(loaded.engine, loaded.settings)
        self.loaded.set()
        self.listening.wait()
        event("ready", models=list(self._service.model_ids()))


def _announce(service: Service, listener: socket.socket) -> None:
    config = service.config
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    event("listening", url=f"http://{shown}:{port}/v1", model=config.name)
    if not config.is_loopback and service.keys.is_open:
        event(
            "open_to_the_network",
            level=logging.WARNING,
            why=f"{config.host} can be reached from other machines and no key is asked for",
            do="make one with 'tunedassist-api keys add NAME' and pass --keys-file, or use --host 127.0.0.1",
        )
