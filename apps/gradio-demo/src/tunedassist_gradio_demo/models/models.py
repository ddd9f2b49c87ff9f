"""The models of this demo: opened at the first question, a few kept, each question can be stopped."""

import threading
from collections import OrderedDict
from typing import Any

from ta_schemas import InputError, UserError
from ta_serve.completion import ChatMessage
from ta_serve.config import Settings
from ta_serve.open import open_engine
from tunedassist_gradio_demo.models.asked import Asked, request_of
from tunedassist_gradio_demo.models.choices import Choice, is_url

MOST_OPEN = 3
"""Engines that are kept: the tuned model, the base model and one more to try."""


class Models:
    """Any number of threads may use it."""

    def __init__(self, choices: list[Choice], *, settings: Settings, api_key: str | None = None) -> None:
        """`settings`: how models that bring none are asked, such as the base model, as it was measured."""
        self.choices = {choice.name: choice for choice in choices}
        self._settings = settings
        self._api_key = api_key
        self._opened: OrderedDict[str, Any] = OrderedDict()
        self._asked: dict[str, Asked] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The menu, the default first."""
        return list(self.choices)

    def first(self, role: str) -> str:
        """The first choice of a role, else the first of all; empty where there is none."""
        fitting = [name for name, choice in self.choices.items() if choice.role == role]
        return (fitting or self.names or [""])[0]

    def adapters(self, name: str) -> list[str]:
        """Names of the LoRA adapters that a choice can be asked with."""
        return list(self.choices[name].adapters) if name in self.choices else []

    def engine(self, name: str) -> Any:
        """The engine of a choice, opened if need be. Raises UserError; the next call tries again."""
        if name not in self.choices:
            raise InputError(f"no model {name!r}: choose one of {', '.join(self.names) or 'none'}")
        with self._lock:  # opening takes seconds and memory: one at a time
            if name not in self._opened:
                while len(self._opened) >= MOST_OPEN:
                    self._opened.popitem(last=False)[1].close()
                self._opened[name] = self._open(self.choices[name])
            self._opened.move_to_end(name)
            return self._opened[name]

    def _open(self, choice: Choice) -> Any:
        if is_url(choice.target):
            return open_engine(choice.target, model=choice.server_model, api_key=self._api_key)
        return open_engine(choice.target, adapters=choice.adapters or None)

    def ask(self, name: str, adapter: str, messages: list[ChatMessage]) -> Asked:
        """Begin a question: `messages` without a system prompt. Raises UserError.

        The caller iterates the answer, and then calls `done`.
        """
        engine = self.engine(name)
        choice = self.choices[name]
        remote = is_url(choice.target)
        model = f"base:{adapter}" if adapter and not remote else engine.models()[0]
        settings = self._settings if choice.role == "base" or remote else engine.settings
        system = self.system_prompt
        opening = [{"role": "system", "content": system}] if system else []
        generation = None if remote else settings.generation
        asked = Asked(engine, request_of([*opening, *messages], model, generation))
        self._asked[asked.request.id] = asked
        return asked

    @property
    def system_prompt(self) -> str:
        """Put before every conversation, base and tuned alike."""
        return self._settings.system_prompt

    def stop(self, request_id: str) -> None:
        """End a running answer; an unknown id is ignored."""
        if asked := self._asked.get(request_id):
            asked.stop()

    def done(self, asked: Asked) -> None:
        """Forget a question."""
        self._asked.pop(asked.request.id, None)

    def warm(self) -> None:
        """Open the default model in the background, so that the first answer does not wait for it."""

        def open_first() -> None:
            try:
                self.engine(self.names[0])
            except (UserError, IndexError):
                return  # said when somebody asks

        threading.Thread(target=open_first, name="warm", daemon=True).start()

    def close(self) -> None:
        """Close every engine."""
        with self._lock:
            while self._opened:
                self._opened.popitem()[1].close()
