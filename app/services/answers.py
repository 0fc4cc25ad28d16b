"""What runs answered: confusion, classes and reliability of several seeds at once, and the images behind each count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from app.services.context import Context
from core.errors import InvalidInput, NotFound
from core.evaluation.calibration_error import brier, calibration_error, log_loss, reliability
from core.evaluation.metrics import confusion, expected_calibration_error, per_class
from core.records import answers as records
from core.records import runs as run_records
from core.text import shown

IMAGE_WISE = {"accuracy_low", "accuracy_high", "expected_low", "expected_high", "p"}
MOST_ANSWERS = 400_000
"""Answers that are counted at once."""


def summary(ctx: Context, run_ids: Sequence[str], part: str | None = None) -> dict[str, Any]:
    """Counts over the answers of runs on one part, by default the ranked one; runs are usually seeds of one line.

    Returns {part, parts, classes, n_runs, n_images, grouped, confusion, per_class, ece, brier, log_loss,
    calibration_error, reliability}: confusion and reliability are summed over the runs, the numbers of classes, ece,
    brier and log_loss are means of the runs; calibration_error is that of a single run, else None. grouped: whether
    several images are of one patient; intervals over images are None then. Raises NotFound, InvalidInput for runs
    that do not have the same classes and images.
    """
    wanted = list(dict.fromkeys(run_ids))
    with ctx.db.reading() as session:
        part, parts = _part(session, wanted, part)
        if run_records.count_predictions(session, wanted) > MOST_ANSWERS:
            raise InvalidInput(f"At most {MOST_ANSWERS} answers at once", "these runs have more", "Ask for fewer runs.")
        told = [run_records.list_predictions(session, run_id, part=part) for run_id in wanted]
    classes = list(told[0][0]["probabilities"])
    files = {row["file"] for row in told[0]}
    if any(list(rows[0]["probabilities"]) != classes or {row["file"] for row in rows} != files for rows in told):
        raise InvalidInput(
            "Runs that were asked the same classes of the same images",
            "found others",
            "Ask for runs of one image set, such as the seeds of one line.",
        )
    place = {name: at for at, name in enumerate(classes)}
    labels = [np.array([place[row["label"]] for row in rows]) for rows in told]
    stated = [np.array([list(row["probabilities"].values()) for row in rows]) for rows in told]
    tables = [confusion(true, p.argmax(axis=1), len(classes)) for true, p in zip(labels, stated, strict=True)]
    groups = [row["group"] for row in told[0] if row["group"] is not None]
    grouped = len(set(groups)) < len(groups)
    by_run = [per_class(p, true, classes) for true, p in zip(labels, stated, strict=True)]
    return {
        "part": part,
        "parts": parts,
        "classes": classes,
        "n_runs": len(wanted),
        "n_images": len(files),
        "confusion": np.sum(tables, axis=0).tolist(),
        "per_class": [_mean_of_class([rows[at] for rows in by_run]) for at in range(len(classes))],
        "ece": float(np.mean([expected_calibration_error(p, true) for true, p in zip(labels, stated, strict=True)])),
        "brier": float(np.mean([brier(p, true) for true, p in zip(labels, stated, strict=True)])),
        "log_loss": float(np.mean([log_loss(p, true) for true, p in zip(labels, stated, strict=True)])),
        "grouped": grouped,
        "calibration_error": _of_images(calibration_error(stated[0], labels[0]), grouped) if len(wanted) == 1 else None,
        "reliability": [
            _of_images(row, grouped)
            for row in reliability(np.concatenate(stated), np.concatenate(labels), repeats=len(wanted))
        ],
    }


def _of_images(row: dict[str, Any], grouped: bool) -> dict[str, Any]:
    """The row; without what takes each image for a piece of evidence of its own where several are of one patient."""
    return row | dict.fromkeys(IMAGE_WISE & row.keys()) if grouped else row


def list_images(
    ctx: Context, run_ids: Sequence[str], label: str, predicted: str, part: str | None, limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """Images of a class that runs called `predicted`, those that most of them did first. Raises NotFound."""
    wanted = list(dict.fromkeys(run_ids))
    with ctx.db.reading() as session:
        part, _ = _part(session, wanted, part)
        return records.list_answered_images(session, wanted, part, label, predicted, limit, offset)


def count_images(ctx: Context, run_ids: Sequence[str], label: str, predicted: str, part: str | None) -> int:
    """How many images `list_images` has over all pages."""
    wanted = list(dict.fromkeys(run_ids))
    with ctx.db.reading() as session:
        part, _ = _part(session, wanted, part)
        return records.count_answered_images(session, wanted, part, label, predicted)


def _part(session: Session, run_ids: Sequence[str], asked: str | None) -> tuple[str, list[str]]:
    parts = records.parts_of_runs(session, run_ids)
    if not parts or (asked is not None and asked not in parts):
        found = f"'{shown(asked)}' is none" if parts and asked is not None else "they share none"
        raise NotFound("A part that all these runs were measured on", found, f"Choose one of {', '.join(parts)}.")
    return asked or parts[0], parts


def _mean_of_class(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One class over several runs: means of what is defined."""
    found: dict[str, Any] = {"class": rows[0]["class"], "n": rows[0]["n"]}
    for name in ("recall", "precision", "f1", "auroc"):
        known = [row[name] for row in rows if row[name] is not None]
        found[name] = float(np.mean(known)) if known else None
    return found
