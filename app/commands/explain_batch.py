"""`explain batch`: what zero vectors and other changes do to attention over a whole image set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.home import opened, settings
from app.commands.model import find_folder
from app.commands.output import DISCLAIMER, JsonFlag, Output, command, output

if TYPE_CHECKING:
    from core.images.image_set import ImageSet

Rows = list[dict[str, Any]]
COLUMNS = (
    "condition",
    "vectors",
    "n",
    "share",
    "change [95 %]",
    "verdict",
    "raw change",
    "heads",
    "within",
    "on vectors",
    "hits",
    "answers changed",
)


@command
def batch(
    model: Annotated[list[str], typer.Option(help="A model folder, or the name or id of a stored model; up to two.")],
    images: Annotated[str, typer.Option(help="A path, or the name of a stored set; with lesion masks.")],
    vectors: Annotated[list[int] | None, typer.Option(help="How many vectors, 0 to 16; 4 if not given.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="Only these conditions, such as C1; all but C1l if not given.")
    ] = None,
    by_block: Annotated[bool, typer.Option("--by-block", help="Zeros at each block alone, too.")] = False,
    part: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    margin: Annotated[float, typer.Option(help="The change of the lesion's share that matters.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Of random vectors, patches and resamples.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Say whether zero vectors move attention from background to lesion on a set: one object an image and condition,
    then one summary a condition. Those of a second model hold it against the first on the same images."""
    from core import load_model
    from core.errors import InvalidOption
    from core.explain.batch import BatchSettings
    from core.explain.model_pairs import against_model
    from core.images.labelled_image import PARTS

    if part not in PARTS:
        raise InvalidOption(f"A part among {', '.join(PARTS)}", f"found '{part}'")
    if not 1 <= len(model) <= 2:
        raise InvalidOption("One model or two", f"found {len(model)}")
    if not margin > 0:
        raise InvalidOption("A margin above 0", f"found {margin}")
    chosen = BatchSettings(tuple(vectors or (4,)), tuple(condition or ()), by_block, seed, margin=margin)
    with output(json) as out, read_set(images) as found:
        summaries: Rows = []
        kept: list[Rows] = []
        for name in model:
            classifier = load_model(find_folder(name), home=settings().home)
            told, rows = _run(out, name, classifier, found, part, chosen)
            if kept:
                told = against_model(told, rows, kept[0], chosen, model[0])
            summaries += told
            kept.append(rows)
        for summary in summaries:
            out.row(summary)
        for name in model:
            _show(out, name, [summary for summary in summaries if summary["model"] == name])
        out.text(DISCLAIMER)


@contextlib.contextmanager
def read_set(images: str) -> Iterator[ImageSet]:
    """The set at a path, or of a name, for as long as the block lasts. Raises NotFound."""
    from app.services.image_sets import load_image_set
    from core.images.image_set import ImageSet
    from core.scratch import scratch_folder

    if Path(images).exists():
        with scratch_folder(settings().unpacked_dir) as folder:
            yield ImageSet.read(images, store_dir=folder)
    else:
        with opened() as ctx:
            found = load_image_set(ctx, images)
        yield found


def _run(out: Output, name: str, classifier: Any, found: ImageSet, part: Any, chosen: Any) -> tuple[Rows, Rows]:
    """Rows of one model as they are made; gives its summaries and the rows."""
    from core.errors import TooFewImages
    from core.explain.batch import images_at_once, plan_batch, run_batch
    from core.explain.batch_images import calibration_images, images_of_part
    from core.explain.batch_summary import summarise

    tested = images_of_part(found, part)
    if not tested:
        raise TooFewImages(f"Images in the part '{part}'", "found none", "Choose another part.")
    plan = plan_batch(classifier, chosen, calibration_images(found, part))
    passes, done = plan.passes * -(-len(tested) // images_at_once(classifier)), 0

    def step() -> None:
        nonlocal done
        done += 1
        out.progress(f"{name}: pass {min(done, passes)} of {passes}")

    rows = []
    for row in run_batch(classifier, tested, plan, step):
        rows.append(row)
        if row.get("left_out"):
            out.note(f"left out {row['image']}: {row['left_out']}")
        elif out.as_json:
            out.row({"model": name, **row})
    out.end_progress()
    return [{"model": name, "part": part, **summary} for summary in summarise(rows, chosen, plan.absent)], rows


def _show(out: Output, name: str, summaries: list[dict[str, Any]]) -> None:
    """A table, what does not exist, and the answer, for people."""
    from core.explain.model_pairs import pair_sentence

    if out.as_json:
        return
    out.text(f"{name}: shares of the lesion in the attention on patches, last layers, against nothing added")
    out.table([_cells(summary) for summary in summaries if summary["exists"]], COLUMNS, "Nothing was run.")
    for summary in summaries:
        if not summary["exists"]:
            out.text(f"{summary['condition']} ({summary['title']}): {summary['reason']}.")
    for summary in summaries:
        for pair in summary.get("against", []):
            change = _range(pair["mean"], pair["low"], pair["high"])
            out.text(
                f"{summary['condition']} minus {pair['condition']}, {pair['vectors']} vectors: {change}, "
                f"{pair['verdict']} (Holm p {pair['p_holm']:.2g})"
            )
    first: Mapping[str, Any] = summaries[0] if summaries else {"notes": [], "left_out": 0}
    if first.get("left_out"):
        out.text(f"{first['left_out']} images were left out, each with its reason above.")
    for note in first.get("notes", []):
        out.text(note)
    for summary in summaries:
        if summary.get("sentence"):
            out.text(summary["sentence"])
    for sentence in filter(None, map(pair_sentence, summaries)):
        out.text(sentence)
    for note in dict.fromkeys(note for s in summaries for note in (s.get("against_model") or {}).get("notes", [])):
        out.text(note)


def _cells(summary: dict[str, Any]) -> dict[str, Any]:
    changed = summary["difference"] is not None
    return {
        "condition": summary["condition"],
        "vectors": summary["vectors"],
        "n": summary["n"],
        "share": _number(summary["lesion_share"]),
        "change [95 %]": _range(summary["difference"], summary["low"], summary["high"]) if changed else None,
        "verdict": summary["verdict"],
        "raw change": _number(summary["raw_difference"]),
        "heads": _number(summary["units_term"]),
        "within": _number(summary["within_term"]),
        "on vectors": _number(summary["vectors_share"]),
        "hits": summary["hit_rate"],
        "answers changed": summary["answer_changed"],
    }


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _range(mean: float, low: float | None, high: float | None) -> str:
    return f"{mean:+.4f}" if low is None or high is None else f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"
