"""`descriptions`: sentences about classes, moved in and out, reviewed and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands import description_files, description_review
from app.commands.description_writing import generate
from app.commands.home import opened, settings
from app.commands.output import FAILED, JsonFlag, Output, command, output

app = typer.Typer(
    help="Class descriptions: written by a model, imported, reviewed, signed, exported and checked.",
    no_args_is_help=True,
)
app.command()(generate)
for name, function in {**description_files.COMMANDS, **description_review.COMMANDS}.items():
    app.command(name)(function)


@app.command()
@command
def delete(
    name: Annotated[str, typer.Argument(help="Name or id of a description set.")],
    json: JsonFlag = False,
) -> None:
    """Delete a description set with all its versions, unless a run was made with one."""
    from app.services.descriptions import delete_description_set

    with output(json) as out, opened() as ctx:
        done = delete_description_set(ctx, name)
        out.row(done, f"Deleted '{name}'.")


@app.command()
@command
def packs(
    images: Annotated[
        str | None, typer.Option(help="Name or id of an image set: only packs that describe all of its classes.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """List built-in packs of descriptions: drafted by a language model, not reviewed by a clinician."""
    from app.services.packs import fitting_packs, list_packs

    with output(json) as out:
        if images is None:
            found = list_packs()
        else:
            with opened() as ctx:
                found = fitting_packs(ctx, images)
        columns = ["name", "sentences", "modality", "status", "title"]
        out.table(found, columns, "No pack describes all classes of these images.")


@app.command()
@command
def check(
    file_or_name: Annotated[str, typer.Argument(help="A file, or the name of a stored description set or a pack.")],
    backbone: Annotated[str, typer.Option(help="Whose text tower the sentences must fit.")] = "embedded",
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Also load its text tower and find sentences nearer to another class.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """List findings, then a summary. Exit code 1 if a sentence stands twice or speaks of what no picture shows."""
    from app.services.descriptions import check_sentences
    from core.descriptions.findings.finding import SERIOUS

    with output(json) as out:
        sentences, pictures = _sentences(file_or_name, out)
        findings = check_sentences(sentences, backbone, settings().home, pictures)
        if embedding:
            from app.services.description_closeness import check_closeness

            findings += check_closeness(sentences, backbone, settings().home, pictures)
        for row in findings:
            out.row(row, f"{row['class']}: {row['finding']} ({row['detail']}): {row['sentence']}")
        serious = sum(row["finding"] in SERIOUS for row in findings)
        summary = {
            "classes": len(sentences),
            "sentences": sum(len(texts) for texts in sentences.values()),
            "findings": len(findings),
            "ok": not serious,
        }
        out.row(summary, f"{summary['sentences']} sentences, {len(findings)} findings, {serious} of them serious.")
        if serious:
            raise typer.Exit(FAILED)


def _sentences(text: str, out: Output) -> tuple[dict[str, Any], str | None]:
    """What a file, a stored set or a pack holds, in this order, and of what pictures where that is known.

    A note tells where a pack has the name as well.
    """
    from app.services.descriptions import find_description_set, pictures_meant
    from app.services.packs import pack_meant, shadowing_note
    from core.descriptions.files import read_descriptions
    from core.descriptions.packs import PREFIX, get_pack

    if text.startswith(PREFIX):
        pack = get_pack(text)
        return dict(pack.sentences), pack.pictures
    pictures = None
    if os.path.isfile(text):
        meant, found = "the file", dict(read_descriptions(Path(text)).sentences)
    else:
        with opened() as ctx:
            if named := pack_meant(ctx, text):
                return dict(named.sentences), named.pictures
            stored = find_description_set(ctx, text)
            meant, found, pictures = "the stored set", stored["sentences"], pictures_meant(ctx, stored["id"])
    if note := shadowing_note(text, meant):
        out.note(note)
    return found, pictures
