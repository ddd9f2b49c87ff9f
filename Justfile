# TunedAssist: `just` lists what can be done.

export UV_LOCK_TIMEOUT := "1800"
export UV_FROZEN := "1"

[private]
default:
    @just --list --unsorted

# ── the main job ─────────────────────────────────────────────────────────────

# tune the embedded model on data/linux-cli and report whether it helped
[group('main job')]
train *OPTIONS:
    uv run tunedassist run linux-cli {{ OPTIONS }}

# the whole way: then preferences, DPO, export, every system measured, attacks, release; compiles llama.cpp once
[group('main job')]
pipeline *OPTIONS:
    uv run --group extras tunedassist run linux-cli --all {{ OPTIONS }}

# talk to what `just train` made
[group('main job')]
chat *OPTIONS:
    uv run tunedassist chat runs/linux-cli/adapter {{ OPTIONS }}

# serve it over OpenAI's protocol on loopback: export with the parity gate, then the API; compiles llama.cpp once
[group('main job')]
serve *OPTIONS:
    uv run --group extras tunedassist serve export runs/linux-cli/adapter --out runs/linux-cli/gguf --license apache-2.0
    uv run --group extras tunedassist-api --model runs/linux-cli/gguf --guard data/linux-cli {{ OPTIONS }}

# attack the tuned model, raw and behind the guard, and report
[group('main job')]
redteam *OPTIONS:
    uv run tunedassist redteam linux-cli {{ OPTIONS }}

# the demo in the browser: chat with its rails visible, comparison, reports, lineage
[group('main job')]
demo *OPTIONS:
    uv run --group extras tunedassist-demo {{ OPTIONS }}

# ── quality ──────────────────────────────────────────────────────────────────

# the default tests: minutes, no network, no GPU
[group('quality')]
test *OPTIONS:
    HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 uv run --group extras pytest -n 2 --dist loadfile {{ OPTIONS }}

# the tests marked slow: real training with the embedded model
[group('quality')]
test-slow *OPTIONS:
    HF_HUB_OFFLINE=1 uv run --group extras pytest -m slow {{ OPTIONS }}

# one package's tests with only its own dependencies: just isolated ta-eval
[group('quality')]
isolated PACKAGE *OPTIONS:
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(ls -d packages/{{ PACKAGE }} apps/{{ PACKAGE }} 2>/dev/null | head -n 1) || true
    if [ -z "$folder" ]; then
        echo "error: no package {{ PACKAGE }}: choose one of $(ls packages apps | grep -v : | xargs)" >&2
        exit 2
    fi
    name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$folder/pyproject.toml" | head -n 1)
    extras=$(sed -n 's/^# isolated-extras: //p' "$folder/pyproject.toml")
    export UV_PROJECT_ENVIRONMENT=".venvs/{{ PACKAGE }}" HF_HUB_OFFLINE=1
    uv run --no-dev --group test --package "$name" $extras pytest "$folder" {{ OPTIONS }}

# format, lint, types, import contract, tests, isolated tests, one real run cut short: the gate
[group('quality')]
check: lint test boundaries end-to-end

# format, lint, types and the import contract
[group('quality')]
lint:
    uv run ruff format --check .
    uv run ruff check .
    uv run --group extras mypy $(ls -d packages/*/src apps/*/src)
    uv run lint-imports

# each slim package tested with its own dependencies only
[group('quality')]
boundaries: (isolated "ta-schemas" "-q") (isolated "ta-data" "-q") (isolated "ta-eval" "-q") (isolated "ta-safety" "-q") (isolated "api" "-q")

# one real run of the embedded model, cut short
[group('quality')]
end-to-end:
    HF_HUB_OFFLINE=1 uv run pytest -m slow tests/test_end_to_end.py

# rewrite the code in the project's format
[group('quality')]
format:
    uv run ruff check --fix .
    uv run ruff format .

# ── benchmarks ───────────────────────────────────────────────────────────────

# tokens/s of our engine beside TRL's, on this processor
[group('benchmarks')]
bench-train *OPTIONS:
    uv run tunedassist data prepare data/linux-cli --out runs/bench/dataset
    uv run python packages/ta-train/benchmarks/bench_train.py {{ OPTIONS }}

# the same quality? several seeds by our engine and by TRL's, losses and benchmark side by side
[group('benchmarks')]
bench-quality *OPTIONS:
    uv run tunedassist data prepare data/linux-cli --out runs/bench/dataset
    uv run python packages/ta-train/benchmarks/bench_quality.py {{ OPTIONS }}

# `ta-train estimate` against the measured peak of the recipes
[group('benchmarks')]
bench-estimate *OPTIONS:
    uv run tunedassist data prepare data/linux-cli --out runs/bench/dataset
    uv run python packages/ta-train/benchmarks/bench_estimate.py {{ OPTIONS }}

# near-duplicates, doctor, JSONL, memory, beside datasketch and datatrove
[group('benchmarks')]
bench-data *OPTIONS:
    uv run --group extras python packages/ta-data/benchmarks/bench_data.py {{ OPTIONS }}

# our runner beside lm-eval and inspect_ai: 200 requests, errors injected
[group('benchmarks')]
bench-eval *OPTIONS:
    uv run python packages/ta-eval/benchmarks/bench_eval.py {{ OPTIONS }}

# the speed of training on a CUDA GPU, with Unsloth where it is installed; --rehearse tries the code without one
[group('benchmarks')]
bench-gpu *OPTIONS:
    uv run tunedassist data prepare data/linux-cli --out runs/bench/dataset
    uv run --group extras python packages/ta-train/benchmarks/bench_gpu.py {{ OPTIONS }}

# detectors on held-out attacks and harmless texts, latency, throughput with the guard on and off
[group('benchmarks')]
bench-safety *OPTIONS:
    uv run python packages/ta-safety/benchmarks/bench_safety.py data/linux-cli {{ OPTIONS }}

# our llama.cpp engine beside llama_cpp.server and llama-server, 1 to 16 clients
[group('benchmarks')]
bench-serve *OPTIONS:
    uv run --group extras --group peers python packages/ta-serve/benchmarks/bench_serve.py --questions data/linux-cli/benchmark.jsonl {{ OPTIONS }}

# 10,000 requests against the API: does its memory grow?
[group('benchmarks')]
soak *OPTIONS:
    uv run --group extras python apps/api/benchmarks/soak.py {{ OPTIONS }}

# ── upkeep ───────────────────────────────────────────────────────────────────

# write the JSON Schema files of ta-schemas anew
[group('upkeep')]
schemas:
    uv run python -m ta_schemas.export packages/ta-schemas/json
