"""How to export; recorded in the manifest."""

from pydantic import BaseModel, ConfigDict, Field

TYPES = ("F16", "Q8_0", "Q4_K_M")


class ExportConfig(BaseModel):
    """What is written and what is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("model", description="of the files and of the model inside them")
    types: list[str] = Field(list(TYPES), min_length=1, description="one file each")
    licence: str = Field("", description="of the model, such as apache-2.0")
    skip_parity: bool = Field(False, description="true: the files have not been compared with the model")
    llama_cpp: bool = Field(False, description="true: converted by a checkout of llama.cpp")
