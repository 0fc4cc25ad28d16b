"""`descriptions import` and `export`: sentences between files and the records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from app.commands.home import opened
from app.commands.output import LARGEST_NUMBER, JsonFlag, command, output
from core.errors import Conflict

Layout = Annotated[
    str | None,
    typer.Option(
        help="json, csv, or that of a public repository (see the documentation); as the name ends by default."
    ),
]


@command
def import_(
    file: Annotated[
        str,
        typer.Argument(
            help="JSON {class: [sentences]}, CSV with the columns class, sentence, the prompts of a public repository, "
            "or the name of a built-in pack."
        ),
    ],
    images: Annotated[str, typer.Option(help="Name or id of the image set they describe.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the description set; the file's or pack's by default.")
    ] = None,
    author: Annotated[str, typer.Option(help="Who wrote them.")] = "",
    layout: Layout = None,
    json: JsonFlag = False,
) -> None:
    """Save the sentences of a file or of a built-in pack as a new version. They are drafts; no file is ever run."""
    from app.services.descriptions import import_file
    from app.services.packs import import_pack, shadowing_note
    from core.descriptions.packs import find_pack

    with output(json) as out, opened() as ctx:
        if not os.path.isfile(file) and find_pack(file):
            saved = import_pack(ctx, file, images, name, author)
        else:
            if note := shadowing_note(file, "the file"):
                out.note(note)
            saved = import_file(ctx, Path(file), images, name, author, layout)
        if others := saved.get("other_classes"):
            out.note(f"Left out: {len(others)} classes of the file that these images do not have.")
        out.row(saved, f"Saved '{saved['name']}', version {saved['version']}.")


@command
def export(
    name: Annotated[str, typer.Argument(help="Name or id of a description set.")],
    out_path: Annotated[Path, typer.Option("--out", help="The file to write.")],
    version: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_NUMBER, help="A saved version; the newest by default.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="The sentences as they stand, saved or not.")] = False,
    layout: Layout = None,
    json: JsonFlag = False,
) -> None:
    """Write a version to a file that `import` and `train --descriptions` read. CSV says state, author, reason too."""
    from app.services.description_files import export_text
    from app.services.descriptions import find_description_set
    from core.descriptions.files import layout_of

    with output(json) as out, opened() as ctx:
        found = find_description_set(ctx, name, version)
        if found["version"] is None and not now:
            raise Conflict(
                "A saved version to export", f"'{found['name']}' has none yet", "Add --now, or save one first."
            )
        number = None if now else found["version"]
        made = export_text(ctx, found["id"], layout or layout_of(out_path.name), number)
        out_path.write_text(made.text, encoding="utf-8", newline="")
        done = {"name": found["name"], "version": number, "sentences": made.sentences, "path": str(out_path)}
        stands = "as it stands" if now else f"version {number}"
        out.row(done, f"Wrote {made.sentences} sentences of '{found['name']}', {stands}, to {out_path}.")


COMMANDS = {"import": import_, "export": export}
