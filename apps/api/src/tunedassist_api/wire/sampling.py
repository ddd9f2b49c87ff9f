"""The fields that chat and plain completions share."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from tunedassist_api.wire.strict import Body, WholeBody, ignored, refused

StopString = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class StreamOptions(Body):
    """What a stream holds besides text."""

    include_usage: bool | None = Field(None, description="A last chunk with the token counts.")
    include_obfuscation: Any = ignored("Padding against traffic analysis.")


class Sampling(WholeBody):
    """How to answer."""

    model: str | None = Field(
        None, max_length=256, description="An id of /v1/models; without it the first one."
    )
    max_tokens: int | None = Field(None, ge=1, le=2**31 - 1, description="Longest answer, in tokens.")
    temperature: float | None = Field(None, ge=0, le=2, description="0: always the likeliest token.")
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=2**31 - 1, description="Not OpenAI's; 0: all tokens.")
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = Field(
        None, ge=-(2**63), lt=2**63, description="The same seed and request give the same answer."
    )
    stop: StopString | Annotated[list[StopString], Field(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = refused("more than one answer")
    logprobs: Any = refused("log-probabilities")
    logit_bias: Any = refused("biases on tokens")
    user: Any = ignored("An id of the end user.")

    @model_validator(mode="after")
    def _check_stream_options(self) -> "Sampling":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options: only together with stream: true")
        return self

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """`stop` as a tuple."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def engine_options(self) -> dict[str, Any]:
        """The options that were given, as fields of the engine's Request; seeds fit into 31 bits there."""
        given = {
            name: getattr(self, name)
            for name in ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")
            if getattr(self, name) is not None
        }
        if self.seed is not None:
            given["seed"] = self.seed % 2**31
        return given
