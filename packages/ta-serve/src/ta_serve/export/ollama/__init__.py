"""What Ollama needs beside a GGUF file: a Modelfile whose TEMPLATE renders as the model was tuned."""
