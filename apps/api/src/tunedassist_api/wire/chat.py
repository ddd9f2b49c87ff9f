"""`POST /v1/chat/completions`: the request, and what answers look like."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ta_serve.completion import ChatMessage
from tunedassist_api.wire.sampling import Sampling
from tunedassist_api.wire.shape import Shape
from tunedassist_api.wire.strict import Body, ignored, plain_json, refused


class TextPart(Body):
    """A piece of a message; text is the only kind."""

    type: Literal["text"]
    text: str


class MessageIn(Body):
    """One turn of the conversation."""

    unsupported: ClassVar[dict[str, tuple[Any, ...]]] = {
        "tool_calls": ([],),
        "function_call": (),
        "audio": (),
    }

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart]
    name: Any = ignored("The name of who speaks.")
    tool_call_id: Any = ignored("The call a tool answers.")
    refusal: Any = ignored("What an earlier answer refused.")
    annotations: Any = ignored("Citations of an earlier answer.")
    tool_calls: Any = refused("tools")
    function_call: Any = refused("functions")
    audio: Any = refused("audio")

    def plain(self) -> ChatMessage:
        """As engines take it; `developer` is OpenAI's newer word for `system`."""
        text = self.content if isinstance(self.content, str) else "".join(p.text for p in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class JsonSchema(Body):
    """The schema that the answer must follow."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    schema_: Annotated[dict[str, Any], AfterValidator(plain_json)] = Field(alias="schema")
    description: Any = ignored("What the schema is for.")
    strict: Any = ignored("Answers always follow the schema.")


class ResponseFormat(Body):
    """Free text, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_named(self) -> "ResponseFormat":
        if (self.json_schema is not None) != (self.type == "json_schema"):
            raise ValueError("json_schema: needed with type json_schema, and only then")
        return self


class ChatRequest(Sampling):
    """A conversation that wants its next turn."""

    unsupported: ClassVar[dict[str, tuple[Any, ...]]] = {
        "n": (1,),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "logit_bias": ({},),
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "functions": ([],),
        "function_call": ("none", "auto"),
        "modalities": (["text"],),
        "audio": (),
        "prediction": (),
        "web_search_options": (),
    }

    messages: list[MessageIn] = Field(min_length=1, max_length=2048)
    max_completion_tokens: int | None = Field(
        None, ge=1, le=2**31 - 1, description="The newer name of max_tokens."
    )
    response_format: ResponseFormat | None = None
    top_logprobs: Any = refused("log-probabilities")
    tools: Any = refused("tools")
    tool_choice: Any = refused("tools")
    functions: Any = refused("functions")
    function_call: Any = refused("functions")
    modalities: Any = refused("anything but text")
    audio: Any = refused("audio")
    prediction: Any = refused("predicted outputs")
    web_search_options: Any = refused("web search")
    metadata: Any = ignored("Notes to store.")
    store: Any = ignored("Whether OpenAI keeps the answer.")
    service_tier: Any = ignored("OpenAI's price class.")
    safety_identifier: Any = ignored("An id of the end user.")
    prompt_cache_key: Any = ignored("Shared beginnings of prompts are always reused.")
    parallel_tool_calls: Any = ignored("There are no tools.")
    reasoning_effort: Any = ignored("The model does not reason apart.")
    verbosity: Any = ignored("The model has one.")

    @model_validator(mode="after")
    def _one_longest(self) -> "ChatRequest":
        if None not in (self.max_tokens, self.max_completion_tokens) and (
            self.max_tokens != self.max_completion_tokens
        ):
            raise ValueError("max_tokens: differs from max_completion_tokens: send one of them")
        return self

    @property
    def json_schema(self) -> dict[str, Any] | None:
        """What the engine constrains the answer to; `{}` is any JSON object."""
        wanted = self.response_format
        if wanted is None or wanted.type == "text":
            return None
        return wanted.json_schema.schema_ if wanted.json_schema else {}


class ChatShape(Shape):
    """`chat.completion` and its chunks."""

    id_prefix = "chatcmpl-"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def choice(self, text: str, finish_reason: str) -> dict[str, Any]:
        """A whole answer."""
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}

    def opening(self) -> dict[str, Any] | None:
        """Says who speaks."""
        return self.piece_of({"role": "assistant", "content": ""}, None)

    def piece(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        """More text, or the end."""
        return self.piece_of({"content": text} if finish_reason is None else {}, finish_reason)

    @staticmethod
    def piece_of(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
        """A choice of a chunk."""
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
