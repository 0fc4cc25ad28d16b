"""`train`: one training in the foreground."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.home import opened, settings
from app.commands.images import GroupOption, LabelOption
from app.commands.output import DISCLAIMER, JsonFlag, Output, command, output

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "kappa": "Cohen's kappa",
    "ece": "calibration error",
}
REDRAW_S = 0.2


def parse_shots(text: str) -> int | None:
    """A number of shots, or None for `all`."""
    if text.strip().lower() == "all":
        return None
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is neither a number nor 'all'") from None


def parse_options(pairs: list[str]) -> dict[str, str]:
    """`name=value` texts as a dict. A name given twice is a mistake."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"'{pair}' is not of the form option=value", param_hint="--set")
        if name.strip() in found:
            raise typer.BadParameter(f"'{name.strip()}' is set twice", param_hint="--set")
        found[name.strip()] = value.strip()
    return found


@command
def train(
    images: Annotated[str, typer.Option(help="A path, or the name of a stored image set.")],
    method: Annotated[
        str | None, typer.Option(help="A name from `methods list`; may be left out beside --recipe.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Published settings to follow, from `recipes list`.")] = None,
    backbone: Annotated[str, typer.Option(help="A name from `backbones list` or a folder.")] = "embedded",
    shots: Annotated[str, typer.Option(help="Training images per class, or all.")] = "16",
    seed: Annotated[int, typer.Option(help="Draws images and starting values.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    views: Annotated[int | None, typer.Option(help="Augmented views kept per image.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the method.")
    ] = None,
    variant: Annotated[str, typer.Option(help="default, paper or reference.")] = "default",
    descriptions: Annotated[
        str | None, typer.Option(help="A file, or the name of a stored description set or a pack.")
    ] = None,
    modality: Annotated[str | None, typer.Option(help="What the pictures are, such as 'chest X-ray'.")] = None,
    template: Annotated[str | None, typer.Option(help="A sentence with {} for the class name.")] = None,
    allow_leakage: Annotated[bool, typer.Option("--allow-leakage", help="Train although parts share images.")] = False,
    group: GroupOption = None,
    label: LabelOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the model; a new one in the home by default.")] = None,
    json: JsonFlag = False,
) -> None:
    """Train a method here and now, measure it on the test part and save the model."""
    from app.services.foreground import ForegroundTraining, prepare
    from app.services.recipes import recipe_method
    from core.images.signature_store import kept_signatures

    method = method or (recipe_method(recipe) if recipe else None)
    if method is None:
        raise typer.BadParameter("give one, or a recipe", param_hint="--method")
    asked = ForegroundTraining(
        images=images,
        method=method,
        recipe=recipe,
        backbone=backbone,
        variant=variant,
        shots=parse_shots(shots),
        seed=seed,
        epochs=epochs,
        views=views,
        options=parse_options(set_ or []),
        descriptions=descriptions,
        modality=modality,
        template=template,
        allow_leakage=allow_leakage,
        group=group,
        label=label,
        out=out,
    )
    with output(json) as stream, kept_signatures(settings().signatures_path):
        line = ProgressLine(stream)
        training = prepare(settings(), asked, opened)
        if training.wording_note:
            stream.note(training.wording_note)
        record = training.run(line.show)
        line.end()
        stream.row(record | {"disclaimer": DISCLAIMER})
        if not json:
            show_result(stream, record)


class ProgressLine:
    """Stage, epoch and time left on one line of the terminal, redrawn at most five times a second."""

    def __init__(self, out: Output) -> None:
        self._out, self._drawn_at = out, 0.0

    def show(self, progress: Any) -> None:
        """Take one report of the training."""
        self.show_text(progress_text(progress))

    def show_text(self, text: str) -> None:
        """Say something else on the line."""
        now = time.monotonic()
        if now - self._drawn_at >= REDRAW_S:
            self._drawn_at = now
            self._out.progress(text)

    def end(self) -> None:
        """Leave the line."""
        self._out.end_progress()


def progress_text(progress: Any) -> str:
    """A report as a short line."""
    if progress.epoch:
        loss = f", loss {progress.loss:.3f}" if progress.loss is not None else ""
        left = f", {progress.seconds_left:.0f} s left" if progress.seconds_left is not None else ""
        return f"{progress.stage}: epoch {progress.epoch} of {progress.epochs}{loss}{left}"
    return f"{progress.stage}: {progress.done} of {progress.total}" if progress.total else progress.stage


def show_result(out: Output, record: dict[str, Any]) -> None:
    """The result for people."""
    shots = "all" if record["shots"] is None else record["shots"]
    out.text(f"{record['method']} on {record['backbone']}, {shots} shots, seed {record['seed']}")
    out.text(f"{record['n_train']} training, {record['n_val']} validation, {record['n_test']} test images")
    for name, title in METRICS.items():
        value = record["metrics"].get(name)
        out.text(f"  {title:<20}{'-' if value is None else f'{value:.3f}'}{_between(record, name)}")
    notes, leakage = record.get("notes", []), (record.get("leakage") or {}).get("sentence")
    told = [leakage] if leakage and leakage not in notes else []
    for note in [*told, *_recipe_lines(record.get("recipe")), *notes]:
        out.text(note)
    out.text(f"{record['seconds']:.0f} s. Model: {record['model']}")
    out.text(DISCLAIMER)


def _between(record: dict[str, Any], name: str) -> str:
    own = (record.get("intervals") or {}).get(name) or {}
    return "" if own.get("low") is None else f"  ({own['low']:.3f} to {own['high']:.3f}, {own['interval']})"


def _recipe_lines(followed: dict[str, Any] | None) -> list[str]:
    from core.tuning.recipe import recipe_sentence

    return [recipe_sentence(followed), *followed["notes"]] if followed else []


COMMANDS = (train,)
