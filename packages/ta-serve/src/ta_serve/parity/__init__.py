"""Is the model served the model measured? Prompts, token ids and greedy answers, compared."""
