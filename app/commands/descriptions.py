"""`descriptions`: sentences about classes, moved in and out and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.description_writing import generate
from app.commands.home import opened, settings
from app.commands.output import FAILED, LARGEST_NUMBER, JsonFlag, Output, command, output

app = typer.Typer(
    help="Class descriptions: written by a model, imported, exported, deleted and checked.", no_args_is_help=True
)
app.command()(generate)


@app.command("import")
@command
def import_(
    file: Annotated[
        str,
        typer.Argument(
            help="JSON {class: [sentences]}, CSV with the columns class, sentence, or the name of a built-in pack."
        ),
    ],
    images: Annotated[str, typer.Option(help="Name or id of the image set they describe.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the description set; the file's or pack's by default.")
    ] = None,
    author: Annotated[str, typer.Option(help="Who wrote them.")] = "",
    json: JsonFlag = False,
) -> None:
    """Save the sentences of a file or of a built-in pack as a new version."""
    from app.services.descriptions import import_file
    from app.services.packs import import_pack, shadowing_note
    from core.descriptions.packs import find_pack

    with output(json) as out, opened() as ctx:
        if not os.path.isfile(file) and find_pack(file):
            saved = import_pack(ctx, file, images, name, author)
        else:
            if note := shadowing_note(file, "the file"):
                out.note(note)
            saved = import_file(ctx, Path(file), images, name, author)
        out.row(saved, f"Saved '{saved['name']}', version {saved['version']}.")


@app.command()
@command
def export(
    name: Annotated[str, typer.Argument(help="Name or id of a description set.")],
    out_path: Annotated[Path, typer.Option("--out", help="A file ending in .json or .csv.")],
    version: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_NUMBER, help="A saved version; the newest by default.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write a version to a file that `import` and `train --descriptions` read."""
    from app.services.descriptions import find_description_set
    from core.descriptions.description_set import DescriptionSet
    from core.descriptions.files import write_descriptions

    with output(json) as out, opened() as ctx:
        found = find_description_set(ctx, name, version)
        sentences = {label: tuple(texts) for label, texts in found["sentences"].items()}
        write_descriptions(DescriptionSet(sentences, found["source"]), out_path)
        done = {"name": found["name"], "version": found["version"], "path": str(out_path)}
        out.row(done, f"Wrote '{found['name']}', version {found['version']}, to {out_path}.")


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
        sentences = _sentences(file_or_name, out)
        findings = check_sentences(sentences, backbone, settings().home)
        if embedding:
            from app.services.description_closeness import check_closeness

            findings += check_closeness(sentences, backbone, settings().home)
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


def _sentences(text: str, out: Output) -> dict[str, Any]:
    """What a file, a stored set or a pack holds, in this order; a note tells where a pack has the name as well."""
    from app.services.descriptions import find_description_set
    from app.services.packs import pack_meant, shadowing_note
    from core.descriptions.files import read_descriptions
    from core.descriptions.packs import PREFIX, get_pack

    if text.startswith(PREFIX):
        return dict(get_pack(text).sentences)
    if os.path.isfile(text):
        meant, found = "the file", dict(read_descriptions(Path(text)).sentences)
    else:
        with opened() as ctx:
            if pack := pack_meant(ctx, text):
                return dict(pack.sentences)
            meant, found = "the stored set", find_description_set(ctx, text)["sentences"]
    if note := shadowing_note(text, meant):
        out.note(note)
    return found
