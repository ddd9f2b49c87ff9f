"""`POST /v1/completions`: text that goes on, without a chat template."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from tunedassist_api.wire.sampling import Sampling
from tunedassist_api.wire.shape import Shape
from tunedassist_api.wire.strict import refused

DEFAULT_MAX_TOKENS = 16  # OpenAI's for this path


class CompletionRequest(Sampling):
    """A text to go on with."""

    unsupported: ClassVar[dict[str, tuple[Any, ...]]] = {
        "n": (1,),
        "best_of": (1,),
        "logprobs": (False,),
        "logit_bias": ({},),
        "echo": (False,),
        "suffix": ("",),
    }

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)] = Field(description="One text.")
    best_of: int | None = refused("more than one answer")
    echo: bool | None = refused("the prompt in the answer")
    suffix: str | None = refused("filling in the middle")

    @field_validator("prompt", mode="before")
    @classmethod
    def _one_text(cls, prompt: Any) -> Any:
        if isinstance(prompt, list) and (len(prompt) != 1 or not isinstance(prompt[0], str)):
            raise ValueError("one text is wanted: several prompts and token ids are not supported")
        return prompt

    @property
    def text(self) -> str:
        """The prompt."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


class CompletionShape(Shape):
    """`text_completion`; its chunks have the same name."""

    id_prefix = "cmpl-"
    whole_object = chunk_object = "text_completion"

    def choice(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        """A whole answer."""
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}

    piece = choice
