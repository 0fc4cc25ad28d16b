"""What images say of sentences, from the newest finished task about a description set."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.records.description_tables import DescriptionTaskRow

FIELDS = ("agreement", "effect", "low", "high", "p_adjusted", "verdict", "suspect_class")


def newest_evidence(session: Session, set_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """{(class, sentence): what `FIELDS` names, and backbone, the one it was gathered on} of the newest task done."""
    task = DescriptionTaskRow
    query = select(task.result).where(
        task.description_set_id == set_id, task.kind == "evidence", task.result.is_not(None)
    )
    result = session.scalar(query.order_by(task.created_at.desc(), task.id.desc()).limit(1)) or {}
    rows = result.get("sentences", [])
    backbone = {"backbone": result.get("summary", {}).get("backbone")}
    return {
        (row["class"], row["sentence"]): {name: row.get(name) for name in FIELDS} | backbone
        for row in rows
        if isinstance(row, dict) and {"class", "sentence"} <= set(row)
    }
