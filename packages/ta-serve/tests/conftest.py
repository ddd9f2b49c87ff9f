import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A sealed model artifact; do not write into it."""
    import torch
    from serve_fixtures import make_model_artifact

    torch.set_num_threads(1)  # a tiny model gains nothing from a second thread but waits for it

    return make_model_artifact(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def adapter(base, tmp_path_factory):
    """A sealed adapter over `base`; do not write into it."""
    from serve_fixtures import make_adapter

    settings = {
        "system_prompt": "You list files.",
        "generation": {"max_tokens": 9, "temperature": 0.0, "stop": ["<|im_end|>"]},
    }
    folder = tmp_path_factory.mktemp("adapters") / "tiny"
    return make_adapter(folder, base.path, digest=base.digest, settings=settings)


@pytest.fixture(scope="session")
def engine(base):
    """The base model, loaded."""
    from ta_serve.engines.transformers import TransformersEngine

    return TransformersEngine.load(base.path, device="cpu", dtype="float32")
