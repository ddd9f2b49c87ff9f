"""The `command_execution` scorer: does the command in an answer do what a reference does? Run in the sandbox.

Where there is no sandbox, or nothing could be seen, the score is None: such an item counts neither way.
"""

from collections.abc import Sequence

from ta_eval.sandbox.bwrap import Refused, find_sandbox
from ta_eval.sandbox.equivalence import Verdict, compare_commands
from ta_eval.scorers.bash import canonical_forms
from ta_eval.scorers.command import extract_command, same_command
from ta_eval.scorers.text import Score


def score_command_execution(answer: str, references: Sequence[str], setup: str) -> Score:
    """1 if the extracted command is a reference or does the same as one, run after `setup`; 0 if not.

    Without a sandbox it is None even where the text decides: an item scored for some answers only would
    favour the system that writes what the references say.
    """
    command = extract_command(answer)
    sandbox = find_sandbox()
    if isinstance(sandbox, Refused):
        return Score(None, command, sandbox.reason)
    if not command:
        return Score(0.0, "", "no command in the answer")
    if canonical_forms(command) is None:
        return Score(0.0, command, "not a command bash could parse")
    for number, reference in enumerate(references, start=1):
        if same_command(command, reference):
            return Score(1.0, command, f"equal to reference {number}")
    verdicts: list[Verdict] = []
    for number, reference in enumerate(references, start=1):
        verdicts.append(compare_commands(sandbox, reference, command, setup=setup))
        if verdicts[-1].equivalent:
            return Score(1.0, command, f"does what reference {number} does: {verdicts[-1].reason}")
    told = next((verdict for verdict in verdicts if verdict.equivalent is False), verdicts[0])
    return Score(None if told.equivalent is None else 0.0, command, told.reason)
