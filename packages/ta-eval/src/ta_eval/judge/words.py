"""A judge's findings in words, for the terminal and the report."""

from typing import Any


def sentence(found: dict[str, Any]) -> str:
    """The verdict, or why there is none."""
    if found["kind"] == "points":
        grade = found["mean_grade"]
        told = (
            f"{found['judge']} grades {found['system']} {grade['estimate']:.2f} of 5 on {found['scored']} items"
        )
        return f"{told}; no verdict: {found['why']}." if found["why"] else f"{told}."
    base, candidate = found["baseline"], found["candidate"]
    if found["verdict"] == "no verdict":
        return (
            f"No verdict: the judge {found['judge']} is not allowed one, for {found['why']}. Its raw "
            f"win rate of {candidate} over {base}: {share(found['raw'])}."
        )
    rate = share(found["calibration"]["corrected"])
    if found["verdict"] == "not measurable":
        return f"The judge sees no measurable difference of {candidate} from {base}: corrected win rate {rate}."
    winner, loser = (candidate, base) if found["verdict"] == "better" else (base, candidate)
    return f"The judge prefers {winner} to {loser}: corrected win rate of {candidate} {rate}."


def lines(found: dict[str, Any]) -> list[str]:
    """Name and value, a line each."""
    return [f"{name:<30}{value}" for name, value in facts(found)]


def facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The whole audit as a table of two columns."""
    audit, rows = found["audit"], [("items", f"{found['scored']} of {found['items']} scored")]
    if found["kind"] == "pairs":
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(found["counts"].items()))
        rows += [
            ("labels", f"{counts}; identical answers: {found['identical']}"),
            ("raw win rate", share(found["raw"])),
            (
                "position consistency",
                f"{share(audit['position_consistency'])}, {found['order_decides']} ties by it",
            ),
            ("first position chosen", share(audit["first_position"])),
            ("longer answer wins", share(audit["longer_wins"])),
            ("win rate at equal length", share(audit["win_rate_at_equal_length"])),
            ("length effect, log-odds", _number(audit["length_effect"])),
        ]
    else:
        rows += [("good answers", share(found["raw"]))]
        rows += [(name, f"{grade['estimate']:.2f} of 5") for name, grade in found["by_criterion"].items()]
    retest = audit["retest"]
    rows.append(
        ("same when asked again", f"{share(retest)}, n = {retest['items']}" if retest["items"] else "not asked")
    )
    read = ", ".join(f"{count} by {rung}" for rung, count in audit["read_by"].items()) or "none"
    unread = ", ".join(f"{count} {reason}" for reason, count in audit["unread"].items()) or "0"
    rows += [("judgments read", read), ("judgments unread", unread)]
    cost = audit["cost"]
    usd = f", {cost['usd']:.4f} USD" if cost["usd"] is not None else ""
    rows.append(("cost", f"{cost['prompt_tokens']} + {cost['completion_tokens']} tokens{usd}"))
    calibration = found["calibration"]
    if calibration:
        kappa = calibration["kappa"]
        limits = f"{kappa['low']:.2f} to {kappa['high']:.2f}"
        told = f"{kappa['estimate']:.2f} ({limits}), needed {found['min_kappa']:g}"
        confusion = "; ".join(f"{key}: {count}" for key, count in calibration["confusion"].items())
        rows += [
            ("human labels", str(calibration["labels"])),
            ("agreement with people", share(calibration["agreement"])),
            ("Cohen's kappa with people", told),
            ("confusion", confusion),
            ("people's rate, labelled items", share(calibration["human_rate"])),
        ]
        if calibration["corrected"]:
            rows.append(("corrected rate", share(calibration["corrected"])))
    return rows


def _number(interval: dict[str, Any] | None) -> str:
    if interval is None:
        return "not known"
    return f"{interval['estimate']:.2f} (95 % interval {interval['low']:.2f} to {interval['high']:.2f})"


def share(interval: dict[str, Any]) -> str:
    """`62 % (95 % interval 50 to 73)`; without anything to count, `not known`."""
    if (interval["low"], interval["high"]) == (0.0, 1.0):
        return "not known"
    estimate, low, high = (f"{100 * interval[name]:.0f}" for name in ("estimate", "low", "high"))
    return f"{estimate} % (95 % interval {low} to {high})"
