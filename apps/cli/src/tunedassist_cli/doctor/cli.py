"""`tunedassist doctor`: the machine, and what will work on it."""

import json
from pathlib import Path
from typing import Annotated

import typer


def doctor_command(
    out: Annotated[Path, typer.Option(help="Where runs will go: its disk is looked at.")] = Path("runs"),
    everything: Annotated[bool, typer.Option("--all", help="Also what is complete, line by line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Look at packages, extras, processor, memory, disk, GPU, programs and keys; say what will work.

    Each thing that is missing has the line that mends it. Keys are never shown. Exit code 5: the main job,
    `tunedassist run`, cannot run here.

    Example: `tunedassist doctor`

    Example: `tunedassist doctor --all --json`
    """
    from rich.console import Console

    from ta_schemas.errors import SetupError
    from tunedassist_cli.doctor.abilities import MAIN_JOB, abilities
    from tunedassist_cli.doctor.extras import extras, packages
    from tunedassist_cli.doctor.machine import machine
    from tunedassist_cli.doctor.programs import keys, programs

    findings = [*machine(out), *packages(), *extras(), *programs(), *keys()]
    able = abilities(findings)
    if as_json:
        print(
            json.dumps({"abilities": [a._asdict() for a in able], "findings": [f._asdict() for f in findings]})
        )
    else:
        console = Console(soft_wrap=True, highlight=False, markup=False)
        marks = {"ok": "ok    ", "absent": "-     ", "bad": "LACKS "}
        for finding in findings:
            if everything or finding.state == "bad" or finding.part == "machine":
                purpose = f" ({finding.purpose})" if finding.purpose else ""
                console.print(f"{marks[finding.state]}{finding.name}: {finding.found}{purpose}")
                if finding.fix and (everything or finding.state == "bad"):
                    console.print(f"        {finding.fix}")
        console.print("\nWhat works here:")
        for ability in able:
            console.print(f"{marks['ok' if ability.works else 'absent']}{ability.name}: {ability.command}")
            if not ability.works:
                console.print(f"        lacks {', '.join(ability.lacks)}")
            for fix in ability.fixes:
                console.print(f"        {fix}")
    main_job = next(ability for ability in able if ability.name == MAIN_JOB[0])
    if not main_job.works:
        raise SetupError(f"the main job cannot run here: it lacks {', '.join(main_job.lacks)}")
