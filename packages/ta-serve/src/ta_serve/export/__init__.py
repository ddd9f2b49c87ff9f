"""From a tuned model to files that llama.cpp, Ollama and vLLM serve."""
