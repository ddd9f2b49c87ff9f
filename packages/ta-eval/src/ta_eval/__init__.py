"""Is the tuned model better, by how much, and how sure are we?

    from ta_eval.config import CompareConfig, EvalConfig
    from ta_eval.target import CallableTarget
    from ta_eval.evaluate import evaluate
    from ta_eval.compare import compare
    target = CallableTarget("tuned", {"model": adapter.digest}, engine.generate)
    tuned = evaluate(EvalConfig(), Path("benchmark.jsonl"), target, Path("runs/tuned"))
    compare(CompareConfig(), {"benchmark": [base.path, tuned.path]}, Path("runs/report"))

Nothing is imported here, so that `ta-eval --help` loads no heavy library.
"""
