"""OpenAI-compatible API over a tuned assistant or any GGUF file.

On the command line: `tunedassist-api --model runs/linux-cli/gguf`. In Python: `tunedassist_api.app.create_app`.
"""
