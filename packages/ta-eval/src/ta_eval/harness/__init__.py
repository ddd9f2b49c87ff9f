"""lm-evaluation-harness (the extra `ta-eval[lm-eval]`) over our benchmarks, and over its own tasks by name.

| file | what |
| --- | --- |
| tasks | writes a benchmark as a folder of tasks that any `lm_eval --include_path` reads |
| functions | what those tasks call: rows in, our scorers' values out |
| run | a model folder in this process, or a server, through lm-eval |
| over_http | the server as an lm-eval model: chat for answers, echoed log-probabilities for choices |
| probe | does a server tell the log-probabilities of a prompt right? |
"""
