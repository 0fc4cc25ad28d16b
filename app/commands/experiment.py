"""`experiment`: comparisons of methods, run here or watched."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import (
    DISCLAIMER,
    FAILED,
    LARGEST_NUMBER,
    WRONG_USE,
    JsonFlag,
    Output,
    command,
    output,
    show_error,
)
from app.commands.train import ProgressLine, progress_text
from core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from core.experiments.estimate import Estimate

app = typer.Typer(
    help="Experiments: methods compared over shots, seeds and image sets, in cells that survive a kill.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="An experiment's name or id.")]
MOST_FILE_BYTES = 5_000_000
ROW_COLUMNS = ("images", "line", "shots", "seeds", "mean", "low", "high", "difference", "beats")


@command
def run(
    file: Annotated[
        Path, typer.Argument(help="A TOML file: name, images, methods and what else is to differ; or ablation:NAME.")
    ],
    images: Annotated[
        list[str] | None, typer.Option(help="An image set in place of those of the file; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name in place of the file's.")] = None,
    shots: Annotated[list[int] | None, typer.Option(min=1, help="In place of the file's; may be repeated.")] = None,
    seeds: Annotated[list[int] | None, typer.Option(min=0, help="In place of the file's; may be repeated.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every method, to try a file quickly.")] = None,
    json: JsonFlag = False,
) -> None:
    """Run an experiment here and now, or go on with it; one object a cell as soon as it is done, then one a row.

    A cell that was computed before, for this or another experiment, is not computed again. Stopped in any way, the same
    command goes on where it was. Exit code 1 says that a cell failed.
    """
    from app.services.experiment_results import beside
    from app.services.experiments import create_or_resume, list_cells, list_rows, run_here

    other = {"images": images, "name": name, "shots": shots, "seeds": seeds, "epochs": epochs}
    with output(json) as out, opened() as ctx:
        found = _planned(lambda: create_or_resume(ctx, _given(file, other), paths=True), json)
        line = ProgressLine(out)
        for cell in list_cells(ctx, found["id"], state="done"):
            _show_cell(out, cell)
        clock = _Clock(out)
        ended = run_here(
            ctx,
            found["id"],
            on_cells=lambda cells: show_cells(out, cells),
            on_progress=lambda cell, progress: line.show_text(f"{cell.label}: {progress_text(progress)}"),
            on_estimate=clock.start,
        )
        line.end()
        clock.stop()
        if not json:
            say_what_failed(out, list_cells(ctx, found["id"], state="failed"))
        _show_rows(out, beside(ctx, found, list_rows(ctx, found["id"])))
        if ended["cells"]["failed"]:
            raise typer.Exit(FAILED)


@command
def show(name: Name, json: JsonFlag = False) -> None:
    """Show what an experiment has found so far: one object a cell, then one a row."""
    from app.services import experiments
    from app.services.experiment_results import beside

    with output(json) as out, opened() as ctx:
        found = experiments.show(ctx, name)
        if json:
            show_cells(out, found["cells"])
        else:
            out.text(_sentence(found["experiment"]))
            say_what_failed(out, [cell for cell in found["cells"] if cell["state"] == "failed"])
        _show_rows(out, beside(ctx, found["experiment"], found["rows"]))
        for note in found["notes"]:
            out.note(note)


@app.command("list")
@command
def list_(
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_NUMBER, help="At most so many, newest first.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List experiments, newest first."""
    from app.services.experiments import list_experiments

    with output(json) as out, opened() as ctx:
        rows = list_experiments(ctx, limit)
        shown = rows if json else [_short(row) for row in rows]
        out.table(shown, ("name", "state", "protocol", "backbone", "done", "failed", "cells"), "There are none.")


@app.command("ablations")
@command
def ablations_(
    name: Annotated[str | None, typer.Argument(help="One of them, to print its file.")] = None,
    json: JsonFlag = False,
) -> None:
    """List the experiments that answer the papers' ablations; `experiment run ablation:NAME --images SET` runs one."""
    from core.experiments.ablation_files import ablation_text, list_ablations

    with output(json) as out:
        if name is None:
            out.table(list_ablations(), ("name", "title"), "There are none.")
        else:
            out.row({"name": name, "toml": ablation_text(name)}, ablation_text(name))


@command
def cancel(name: Name, json: JsonFlag = False) -> None:
    """Stop an experiment that a worker runs; what is finished stays."""
    from app.services import experiments

    with output(json) as out, opened() as ctx:
        out.row(found := experiments.cancel(ctx, name), _sentence(found))


@command
def retry(
    name: Name,
    cell: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_NUMBER, help="Only the failed cell of this position, as `show` names it."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Queue an experiment's failed cells again, and no others; a worker takes them, or `experiment run`."""
    from app.services import experiments

    with output(json) as out, opened() as ctx:
        out.row(found := experiments.retry(ctx, name, cell), _sentence(found))


class _Clock:
    """Says what is expected, and afterwards what it took."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._expected: float | None = None
        self._begun = 0.0

    def start(self, estimate: Estimate) -> None:
        self._out.note(estimate.sentence)
        self._expected, self._begun = estimate.seconds, time.monotonic()

    def stop(self) -> None:
        from core.experiments.estimate import duration_text

        if self._expected is not None:
            took = time.monotonic() - self._begun
            share = took / max(1.0, self._expected)  # shorter ones are told as a second
            self._out.note(f"It took {duration_text(took)}, {share:.2g} times what was estimated.")


def _given(file: Path, other: Mapping[str, Any]) -> bytes | dict[str, Any]:
    """The experiment of a file or of a shipped ablation. other: values in place of its own, None for none."""
    from core.experiments.ablation_files import PREFIX, ablation_text
    from core.experiments.spec import parse_toml

    own = {key: value for key, value in other.items() if value}
    is_shipped = str(file).startswith(PREFIX)
    if not is_shipped and not own:
        return _read(file)
    values = parse_toml(ablation_text(str(file)) if is_shipped else _read(file)) | own
    if is_shipped and not values.get("images"):
        raise InvalidInput("Images for the ablation", "found none", "Give --images SET, as often as there are sets.")
    if "name" not in values:
        called = ", ".join(Path(each).name for each in values["images"])
        values["name"] = f"{str(file).removeprefix(PREFIX)} on {called}"
    return values


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            content = source.read(MOST_FILE_BYTES + 1)
    except (OSError, ValueError):
        raise NotFound("An experiment file", f"none can be read at '{file}'", "Check the path.") from None
    if len(content) > MOST_FILE_BYTES:
        raise InvalidInput("An experiment file of at most 5 MB", "found a larger one", "Split the experiment.")
    return content


def _planned(plan: Any, json: bool) -> dict[str, Any]:
    """The experiment of a file; what is wrong with the file is wrong use of the command."""
    try:
        return dict(plan())
    except InvalidInput as error:
        show_error(error, as_json=json)
        raise typer.Exit(WRONG_USE) from None


def show_cells(out: Output, cells: Sequence[Mapping[str, Any]]) -> None:
    for cell in cells:
        _show_cell(out, cell)


def _show_cell(out: Output, cell: Mapping[str, Any]) -> None:
    if out.as_json:
        out.row({"kind": "cell", **cell})
        return
    out.end_progress()
    out.text(_cell_text(cell))


def _cell_text(cell: Mapping[str, Any]) -> str:
    place = f"{cell['line']} on {cell['image_set']}, {_amount(cell)}, seed {cell['seed']}"
    place += f", {cell['descriptions']}" if cell["descriptions"] else ""
    if cell["state"] == "failed":
        return f"{place}: cell {cell['position']} failed. {(cell['error'] or {}).get('message', '')}"
    if cell["state"] != "done":
        return f"{place}: {cell['state']}"
    value = (cell["metrics"] or {}).get("balanced_accuracy")
    known = "not measured" if value is None else f"balanced accuracy {value:.3f}"
    how = "taken from an earlier run" if cell["reused"] else f"{cell['seconds'] or 0:.1f} s"
    return f"{place}: {known}, {how}"


def say_what_failed(out: Output, cells: Sequence[Mapping[str, Any]]) -> None:
    if cells:
        out.text(f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'} failed:")
        show_cells(out, cells)


def _show_rows(out: Output, rows: Sequence[Mapping[str, Any]]) -> None:
    if out.as_json:
        for row in rows:
            out.row({"kind": "row", **row})
        return
    if rows:
        out.text()
        for warning, places in _warnings(rows).items():
            out.text(f"WARNING, {places}: {warning}")
        out.table([_row_text(row) for row in rows], ROW_COLUMNS, "")
        if rows[0]["protocol"] == "full":
            out.table([_full_text(row) for row in rows], tuple(_full_text(rows[0])), "")
            out.text("Behind ± stands the standard deviation over seeds.")
        out.text(_numbers_are(rows[0]))
        parts = [_parts_text(row) for row in rows if row["parts"]]
        if parts:
            out.text("By what it was measured on:")
            out.table(parts, tuple(dict.fromkeys(name for row in parts for name in row)), "")
        claims = _by_sentence((row["claim"], row) for row in rows if row["claim"])
        for sentence, places in claims.items():
            out.text(f"Intervals hold for {sentence}{f' ({places})' if len(claims) > 1 else ''}.")
        for row in rows:
            for each in row["published"]:
                out.text(f"{row['line']} on {row['image_set']}, {_amount(row)}: {each['sentence']}")
        for note, places in _notes(rows).items():
            out.text(f"{places}: {note}")
        out.text(DISCLAIMER)


def _row_text(row: Mapping[str, Any]) -> dict[str, Any]:
    difference = row["difference"] or {}
    between = None
    if difference.get("mean") is not None:
        between = f"{difference['mean']:+z.3f} to {difference['against']}"
        if difference.get("low") is not None:
            between += f" ({difference['low']:+z.3f} to {difference['high']:+z.3f})"
    return {
        "images": row["image_set"] or "mean over sets",
        "line": row["line"],
        "shots": _amount(row),
        "seeds": row["n_seeds"],
        "mean": row["mean"],
        "low": row["low"],
        "high": row["high"],
        "difference": between,
        "beats": row["beats"],
    }


def _numbers_are(row: Mapping[str, Any]) -> str:
    metric = row["metric"].replace("_", " ")
    both = row["protocol"] == "base-to-novel"
    return f"Numbers are {f'the harmonic mean of {metric} over base and novel classes' if both else metric}."


def _parts_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ranked number on each part: base and novel classes, or other image sets."""
    place = {"images": row["image_set"] or "mean over sets", "line": row["line"], "shots": _amount(row)}
    return place | {name: part["mean"] for name, part in row["parts"].items()}


def _full_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a full-shot table: means and spreads over seeds, what is trained, and what an answer takes."""
    found = {"images": row["image_set"] or "mean over sets", "line": row["line"], "labels": _amount(row)}
    for name in ("accuracy", "macro_f1", "auroc", "kappa"):
        mean, spread = row["metrics"][name], row["deviations"][name]
        found[name] = None if mean is None else f"{mean:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
    parameters, gflops = row["trainable_parameters"], row["gflops_per_image"]
    return found | {
        "parameters": None if parameters is None else f"{parameters:,.0f}",
        "gflops_per_image": None if gflops is None else f"{gflops:.3g}",
    }


def _notes(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each note once, with the rows it is on."""
    told = ((row, [*row["notes"], *(use["sentence"] for use in row["description_versions"])]) for row in rows)
    return _by_sentence((note, row) for row, notes in told for note in notes)


def _warnings(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What makes numbers too good, each sentence once, with the rows it is on: images that training has seen."""
    from core.experiments.joined_notes import joined_notes

    by_set: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in rows:
        leak = row.get("leakage") or {}
        if leak.get("found") or leak.get("doubts"):
            by_set.setdefault(row["image_set"], []).append(row)
    told = {name: joined_notes([[row["leakage"]["sentence"]] for row in own]) for name, own in by_set.items()}
    return _by_sentence((sentence, row) for name, own in by_set.items() for sentence in told[name] for row in own)


def _by_sentence(pairs: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """{sentence: the lines of its rows with their image sets}, each once."""
    found: dict[str, dict[str, list[str]]] = {}
    for sentence, row in pairs:
        lines = found.setdefault(sentence, {}).setdefault(row["image_set"] or "mean over sets", [])
        if row["line"] not in lines:
            lines.append(row["line"])
    return {
        sentence: "; ".join(f"{', '.join(lines)} on {place}" for place, lines in places.items())
        for sentence, places in found.items()
    }


def _amount(place: Mapping[str, Any]) -> str:
    if place.get("share") is not None:
        return f"{place['share']:.0%} of the labels"
    if place["shots"] is None:
        return "all"
    return f"{place['shots']} {'shot' if place['shots'] == 1 else 'shots'}"


def _short(found: Mapping[str, Any]) -> dict[str, Any]:
    counts = found["cells"]
    return {**found, "done": counts["done"], "failed": counts["failed"], "cells": found["n_cells"]}


def _sentence(found: Mapping[str, Any]) -> str:
    counts = found["cells"]
    told = ", ".join(f"{counts[state]} {state}" for state in counts if counts[state])
    return f"{found['name']}: {found['state']}. {found['n_cells']} cells: {told}."


for function in (run, show, cancel, retry):
    app.command()(function)
