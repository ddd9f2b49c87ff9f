"""`python serve_words.py [KEY=VALUE…]`: a server with the word engine in a process of its own."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from word_engine import WordEngine

from ta_schemas import InputError
from ta_schemas.errors import exit_with_one_line
from ta_serve.config import Settings
from tunedassist_api import logs
from tunedassist_api.config import Config
from tunedassist_api.server import Loaded, serve


def main():
    """Options of Config, and `step_s`, `load_s`, `fail`."""
    options = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in sys.argv[1:])}
    step_s, load_s, fail = (options.pop(name, 0) for name in ("step_s", "load_s", "fail"))

    def load():
        time.sleep(load_s)
        if fail:
            raise InputError("tiny.gguf: truncated: copy it again")
        return Loaded(WordEngine(step_s=step_s), Settings())

    logs.set_up()
    serve(load, Config(**{"port": 0, "name": "tiny", **options}))


if __name__ == "__main__":
    exit_with_one_line(main)
