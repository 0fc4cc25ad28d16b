"""`doctor`: what works on this machine, and what to mend."""

from __future__ import annotations

import typer

from app.commands.output import FAILED, JsonFlag, command, output

MARKS = {"pass": "ok  ", "warn": "warn", "fail": "FAIL"}


@command
def doctor(json: JsonFlag = False) -> None:
    """Check packages, home folder, disk, database, worker, backbone and device. Changes nothing."""
    from app.services.system import doctor as check

    with output(json) as out:
        findings = check()
        for row in findings:
            fix = f"  -> {row['fix']}" if row["fix"] else ""
            out.row(row, f"{MARKS[row['status']]}  {row['check']}: {row['message']}{fix}")
        if any(row["status"] == "fail" for row in findings):
            raise typer.Exit(FAILED)


COMMANDS = (doctor,)
