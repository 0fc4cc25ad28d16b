"""`descriptions sentences|act|undo|review|agreement|sign|diff`: the review of class descriptions from a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import JsonFlag, command, output

Name = Annotated[str, typer.Argument(help="Name or id of a description set.")]
By = Annotated[str, typer.Option("--by", help="Who does it.")]
ClassName = Annotated[str | None, typer.Option("--class", help="Only sentences of this class.")]
State = Annotated[
    str | None, typer.Option(help="Only draft, approved, rejected, needs_second_reader or withdrawn ones.")
]
Queue = Annotated[str | None, typer.Option(help="Only the reader's pending, flagged or done ones.")]
Words = Annotated[str | None, typer.Option("--q", help="Only sentences with these words.")]
Found = Annotated[str | None, typer.Option("--finding", help="Only sentences the checks say this of.")]
Reader = Annotated[str | None, typer.Option(help="Whose queues and decisions are told.")]


@command
def sentences(
    name: Name,
    class_name: ClassName = None,
    state: State = None,
    queue: Queue = None,
    q: Words = None,
    finding: Found = None,
    reader: Reader = None,
    blind: Annotated[bool, typer.Option("--blind", help="Hide what others made of undecided ones.")] = False,
    json: JsonFlag = False,
) -> None:
    """List the sentences of a set as they stand, with findings and decisions."""
    from app.services.description_review import list_sentences
    from core.records.sentence_filters import asked_for

    with output(json) as out, opened() as ctx:
        asked = asked_for(class_name, state, queue, q, finding, None, reader, blind)
        found, _ = list_sentences(ctx, _id(ctx, name), asked, limit=1_000_000)
        for row in found:
            out.row(row, f"{row['id']}  {row['state'] or '-':20} {row['class']}: {row['text']}")
        out.text(f"{len(found)} sentences.")


@command
def act(
    name: Name,
    kind: Annotated[str, typer.Argument(help="approve, reject, flag, reopen, edit, remove, restore, add or settle.")],
    by: By,
    ids: Annotated[list[str] | None, typer.Option("--id", help="A sentence; may be given several times.")] = None,
    class_name: ClassName = None,
    state: State = None,
    queue: Queue = None,
    q: Words = None,
    finding: Found = None,
    text: Annotated[str | None, typer.Option(help="Of an edited or new sentence.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is rejected or flagged.")] = None,
    approve: Annotated[
        bool | None, typer.Option(help="Approve what is edited or added; of a settlement, for or against.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Do something to sentences named by --id, or to all that match. `undo` takes it back."""
    from app.services.description_review import act_on_sentences
    from core.records.sentence_actions import Order
    from core.records.sentence_filters import asked_for

    with output(json) as out, opened() as ctx:
        order = Order(
            kind, by, ids or (), text, class_name if kind in ("add", "edit") else None, reason, approve=approve
        )
        where = None if ids or kind == "add" else asked_for(class_name, state, queue, q, finding, None, by, False)
        _tell(out, act_on_sentences(ctx, _id(ctx, name), order, where))


@command
def undo(
    name: Name,
    by: By,
    action: Annotated[str | None, typer.Option(help="An action; the newest of --by unless given.")] = None,
    json: JsonFlag = False,
) -> None:
    """Take an action on sentences back, bulk ones too. The id of an undo does it again."""
    from app.services.description_review import undo_action

    with output(json) as out, opened() as ctx:
        _tell(out, undo_action(ctx, _id(ctx, name), by, action))


@command
def review(name: Name, reader: Reader = None, json: JsonFlag = False) -> None:
    """Say how far the review of a set is: sentences by class and state, readers, catch rates, versions."""
    from app.services.description_review import review_summary

    with output(json) as out, opened() as ctx:
        told = review_summary(ctx, _id(ctx, name), reader)
        out.row(told)
        for row in told["classes"]:
            counts = (f"{row[state]} {state.replace('_', ' ')}" for state in row if state != "class")
            out.text(f"{row['class']}: {', '.join(counts)}")
        for row in told["readers"]:
            caught = f"; caught {row['planted_caught']} of {row['planted_read']} planted" if row["planted_read"] else ""
            out.text(f"{row['reader']} decided {row['decided']}{caught}")
        out.text(f"Versions: {told['versions']}, newest signed: {told['newest_signed'] or 'none'}.")


@command
def agreement(name: Name, json: JsonFlag = False) -> None:
    """Print how far each two readers agree, then one summary with all readers together and catch rates."""
    from app.services.description_agreement import agreement_of

    with output(json) as out, opened() as ctx:
        told = agreement_of(ctx, _id(ctx, name))
        for pair in told.pop("pairs"):
            numbers = ", ".join(_number(pair, key) for key in ("percent", "kappa", "ac1"))
            out.row(pair, f"{pair['a']} and {pair['b']}, {pair['n']} sentences: {numbers}")
        out.row(told, _together(told["several"]) if told["several"] else f"{len(told['readers'])} readers.")


@command
def sign(
    name: Name,
    by: Annotated[str, typer.Option("--by", help="Who vouches for the sentences.")],
    note: Annotated[str, typer.Option(help="What the version is for.")] = "",
    json: JsonFlag = False,
) -> None:
    """Freeze the approved sentences as a signed version, which is never changed."""
    from app.services.description_versions import save_reviewed_version

    with output(json) as out, opened() as ctx:
        made = save_reviewed_version(ctx, _id(ctx, name), by, note, sign=True)
        left = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in made["left_out"].items() if n)
        out.row(
            {"name": name, **made},
            f"Signed version {made['version']} with {made['sentences']} sentences; left out: {left or 'none'}.",
        )


@command
def diff(
    name: Name,
    before: Annotated[str, typer.Option("--from", help='A version, or "now".')],
    after: Annotated[str, typer.Option("--to", help='A version, or "now".')] = "now",
    json: JsonFlag = False,
) -> None:
    """Compare two versions sentence by sentence, or one with the sentences as they stand."""
    from app.services.description_versions import compare_versions

    with output(json) as out, opened() as ctx:
        told = compare_versions(ctx, _id(ctx, name), before, after)
        out.row(told)
        for mark, rows in (("+", told["added"]), ("-", told["removed"])):
            for row in rows:
                out.text(f"{mark} {row['class']}: {row['text']}")
        for row in told["edited"]:
            out.text(f"~ {row['class']}: {row['before']}\n  {row['class']}: {row['after']}")
        out.text(f"{len(told['state_changes'])} sentences stand differently.")


def _id(ctx: Any, name: str) -> str:
    from app.services.descriptions import find_description_set

    return str(find_description_set(ctx, name)["id"])


def _tell(out: Any, done: Mapping[str, Any]) -> None:
    action = done["action"]
    out.row(done, f"{action['kind']}: {action['changed']} sentences (action {action['id']}).")


def _number(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return f"{key} not defined"
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"{key} {row[key]:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None else "")


def _together(several: Mapping[str, Any]) -> str:
    numbers = ", ".join(_number(several, key) for key in ("percent", "alpha", "ac1"))
    return f"{several['readers']} readers, {several['n']} sentences: {numbers}"


COMMANDS = {
    "sentences": sentences,
    "act": act,
    "undo": undo,
    "review": review,
    "agreement": agreement,
    "sign": sign,
    "diff": diff,
}
