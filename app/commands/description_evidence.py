"""`descriptions evidence`: what images say of each sentence, and of the set as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.home import opened, settings
from app.commands.images import GroupOption, LabelOption
from app.commands.output import DISCLAIMER, JsonFlag, Output, command, output
from app.commands.train import ProgressLine, parse_shots

WORDS = {"helpful": "helpful", "harmful": "harmful", "cannot_tell": "cannot be told"}
CONTROLS = {
    "set": "this set",
    "template": "template only",
    "random_everyday": "random everyday words",
    "random_radiological": "random words of radiology",
    "without_names": "without class names",
    "wrong_classes": "dealt to wrong classes",
}


@command
def evidence(
    name_or_file: Annotated[str, typer.Argument(help="A saved description set's name or id, a pack, or a file.")],
    images: Annotated[str, typer.Option(help="A path, or the name of a stored image set.")],
    backbone: Annotated[str, typer.Option(help="A name from `backbones list` or a folder.")] = "embedded",
    shots: Annotated[str, typer.Option(help="Training images per class, or all.")] = "16",
    seed: Annotated[int, typer.Option(help="Draws images and random words.")] = 1,
    replacements: Annotated[
        int, typer.Option(help="Sentences of random words that each sentence is held against, at least 99.")
    ] = 999,
    version: Annotated[int | None, typer.Option(min=1, help="Of the saved set; the newest by default.")] = None,
    curve: Annotated[bool, typer.Option("--curve", help="Accuracy by number of sentences too.")] = False,
    modality: Annotated[str | None, typer.Option(help="What the pictures are, such as 'chest X-ray'.")] = None,
    template: Annotated[str | None, typer.Option(help="The control's sentence, with {} for the class name.")] = None,
    allow_leakage: Annotated[bool, typer.Option("--allow-leakage", help="Go on although parts share images.")] = False,
    group: GroupOption = None,
    label: LabelOption = None,
    out: Annotated[Path | None, typer.Option(help="Write a report with pictures to this .html file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Weigh each sentence on training images, never on test images; then the set against its controls."""
    from app.services.description_evidence import EvidenceRequest, weigh
    from core.errors import InvalidOption
    from core.images.signature_store import kept_signatures

    if out is not None and not out.resolve().parent.is_dir():
        raise InvalidOption("A report in a folder that exists", f"'{out.parent}' does not", "Make it first.")
    asked = EvidenceRequest(
        descriptions=name_or_file,
        images=images,
        version=version,
        backbone=backbone,
        shots=parse_shots(shots),
        seed=seed,
        replacements=replacements,
        curve=curve,
        modality=modality,
        template=template,
        allow_leakage=allow_leakage,
        group=group,
        label=label,
    )
    with output(json) as stream, kept_signatures(settings().signatures_path):
        line = ProgressLine(stream)

        def heard(what: str, done: int, total: int) -> None:
            line.show_text(f"{what}: {done} of {total}" if total else what)

        found = weigh(settings(), asked, opened, heard)
        line.end()
        for row in found.rows:
            suspect = f" (seems to tell of '{row.suspect_class}')" if row.suspect_class else ""
            told = f"{WORDS[row.verdict]:<15}{_effect(row)}  {row.class_name}: {row.sentence}{suspect}"
            stream.row(row.as_dict(), told)
        if out is not None:
            out.write_text(found.report(), encoding="utf-8")
        report = {} if out is None else {"report": str(out)}
        stream.row(found.summary | report | {"disclaimer": DISCLAIMER})
        if not json:
            _show_summary(stream, found.summary)
            stream.text(f"Report: {out}" if out else "")
            stream.text(DISCLAIMER)


def _effect(row: Any) -> str:
    if row.effect is None:
        return f"{'-':>9}"
    between = "" if row.low is None else f" ({row.low:+.4f} to {row.high:+.4f})"
    return f"{row.effect:+9.4f}{between}"


def _show_summary(stream: Output, found: dict[str, Any]) -> None:
    counts = ", ".join(f"{found[name]} {text}" for name, text in WORDS.items())
    stream.text(f"{found['sentences']} sentences on {found['n_images']} training images: {counts}.")
    if found["suspected"]:
        stream.text(f"Read first: {found['suspected']} that seem to tell of another class than their own.")
    if found["smallest_effect"] is not None:
        stream.text(f"Effects below about {found['smallest_effect']:.2g} nats are like those of random words.")
    for name, text in CONTROLS.items():
        if name in found["controls"]:
            accuracy = found["controls"][name]["accuracy"]
            likelihood = found["controls"][name]["log_likelihood"]
            stream.text(f"  {text:<28}accuracy {accuracy['mean']:.3f}  log-likelihood {likelihood['mean']:.3f}")
    stream.text(found["controls"]["answer"])
    for row in found.get("curve", {}).get("rows", []):
        stream.text(f"  {row['order']:<12}{row['n']:>4} sentences a class: accuracy {row['accuracy']['mean']:.3f}")
    for note in found["notes"]:
        stream.text(note)


COMMANDS = (evidence,)
