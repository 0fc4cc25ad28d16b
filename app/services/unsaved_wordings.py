"""What readers typed about sentences and have not saved, so that it is offered again, in any browser."""

from __future__ import annotations

from typing import Any

from app.services.context import Context
from core.records import unsaved_wordings
from core.text import fit_name, fit_text


def keep_wording(ctx: Context, set_id: str, sentence_id: str, actor: str, text: str, revision: int) -> bool:
    """Keep what somebody typed about a sentence until an edit of it is saved; False where the sentence says it already.

    Raises NotFound, InvalidInput.
    """
    reader = fit_name(actor, "The name of who types")
    words = " ".join(fit_text(text, "A sentence", may_be_empty=True).split())
    return ctx.db.write(
        lambda session: unsaved_wordings.keep_wording(session, set_id, sentence_id, reader, words, revision)
    )


def list_wordings(ctx: Context, set_id: str, reader: str) -> list[dict[str, Any]]:
    """What this reader typed and has not saved; see `core.records.unsaved_wordings`. Raises NotFound."""
    with ctx.db.reading() as session:
        return unsaved_wordings.kept_wordings(session, set_id, reader)


def forget_wording(ctx: Context, set_id: str, sentence_id: str, actor: str) -> None:
    """Throw away what somebody typed about a sentence; nothing happens where nothing is kept. Raises NotFound."""
    ctx.db.write(lambda session: unsaved_wordings.forget_wordings(session, set_id, actor, [sentence_id]))
