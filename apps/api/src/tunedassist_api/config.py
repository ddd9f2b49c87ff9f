"""What the server was told on its command line."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Config:
    """The options; the README's table says what each is for."""

    host: str = "127.0.0.1"
    port: int = 8000
    name: str = "model"
    """The model id that clients name; adapters are `name:adapter`."""
    parallel: int = 16
    """Requests answered at the same time."""
    max_queue: int = 32
    """Requests that may wait beyond those."""
    deadline_s: float = 120.0
    """Longest time from a request's arrival to the end of its answer."""
    drain_s: float = 30.0
    """After SIGTERM: how long running answers may go on."""
    max_body_bytes: int = 1024 * 1024
    keys_file: Path | None = None
    requests_per_minute: int = 0
    """For each key (without keys: for each client address); 0: no limit."""
    feedback: Path | None = None
    """JSONL file that `/v1/feedback` appends to; None: refused."""
    cors_origins: tuple[str, ...] = ()
    log_prompts: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK or self.host.startswith("127.")
