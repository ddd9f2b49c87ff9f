"""From a request to an answer that can begin: checked, rendered, tokenized."""

from collections.abc import Sequence

from ta_schemas import InputError
from ta_serve.completion import ChatMessage
from ta_serve.engines.check import Refused, check
from ta_serve.engines.llama_cpp.answer import Answer
from ta_serve.engines.llama_cpp.grammar import grammar_of
from ta_serve.engines.llama_cpp.model import Model
from ta_serve.engines.llama_cpp.template import ChatTemplate
from ta_serve.engines.prompt import Prompts
from ta_serve.engines.protocol import Request


class Intake:
    """Used by the child's listening thread, so that no decoding step waits for it."""

    def __init__(self, model: Model, adapters: Sequence[str]) -> None:
        self._context = model.context_tokens
        self._adapters = {"base": "", **{f"base:{name}": name for name in adapters}}
        self._controls = model.control_tokens()
        beginning, end = model.beginning_and_end()
        source = model.chat_template()
        self._template = ChatTemplate(source, bos=beginning, eos=end) if source else None
        marks = {
            text: token
            for text, token in self._controls.items()
            if text in source or text in (beginning, end) or model.ends_answer(token)
        }
        self._prompts = Prompts(
            self._render, model, marks=marks, longest_text=self._context * model.longest_piece
        )

    @property
    def chat(self) -> bool:
        """Whether the model has a chat template."""
        return self._template is not None

    def prompt(self, request: Request) -> list[int]:
        """Token ids of the rendered prompt. Raises Refused."""
        check(request)
        if request.messages is not None:
            return self._prompts.chat(request.messages)
        return self._prompts.text(request.prompt or "")

    def answer(self, request: Request) -> Answer:
        """Everything that is needed to begin. Raises Refused."""
        if request.model not in self._adapters:
            known = ", ".join(self._adapters)
            raise Refused("model_not_found", f"model {request.model!r}: expected one of {known}")
        prompt = self.prompt(request)
        if not prompt:
            raise Refused("invalid_request", "an empty prompt, and the model has no token to begin with")
        room = self._context - len(prompt)
        if room < 1:
            raise Refused(
                "context_length_exceeded",
                f"the prompt has {len(prompt)} tokens, the context holds {self._context} with the answer",
            )
        try:
            grammar = None if request.json_schema is None else grammar_of(request.json_schema)
        except InputError as error:
            raise Refused("invalid_request", str(error)) from None
        return Answer(
            request,
            prompt,
            adapter=self._adapters[request.model],
            most_tokens=min(request.max_tokens or room, room),
            stop_tokens=frozenset(self._controls[text] for text in request.stop if text in self._controls),
            stop=[text for text in request.stop if text not in self._controls],
            grammar=grammar,
        )

    def _render(self, messages: Sequence[ChatMessage]) -> str:
        if self._template is None:
            raise Refused(
                "invalid_request", "the model has no chat template: send a prompt, or name a chat model"
            )
        try:
            return self._template.render(messages)
        except InputError as error:
            raise Refused("invalid_request", str(error)) from None
