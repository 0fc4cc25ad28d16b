"""`recipes`: published settings to follow."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.output import JsonFlag, command, output

app = typer.Typer(help="Published settings of methods, by data set and protocol.", no_args_is_help=True)


@app.command("list")
@command
def list_(
    method: Annotated[str | None, typer.Option(help="Only those of one method.")] = None, json: JsonFlag = False
) -> None:
    """List recipes."""
    from app.services.recipes import list_recipes

    with output(json) as out:
        rows = list_recipes(None, method)
        out.table(rows, ("name", "title", "modality", "protocol"), "There are no recipes for this method.")


@app.command()
@command
def show(
    name: Annotated[str, typer.Argument(help="A name from `recipes list`.")],
    json: JsonFlag = False,
) -> None:
    """Show what a recipe sets, where it comes from, and where the publication cannot be followed."""
    from app.services.recipes import get_recipe

    with output(json) as out:
        recipe = get_recipe(None, name)
        out.row(recipe)
        if json:
            return
        origin = recipe["provenance"]
        out.text(f"{recipe['name']}\nhash {recipe['hash']}\n{recipe['title']}: {recipe['modality']}")
        out.text(f"From {origin['paper']}: {origin['repository']}, commit {origin['commit']}, {origin['place']}")
        out.text(f"Backbone: {recipe['backbone']}\nClasses: {', '.join(recipe['classes'])}")
        if recipe["novel_classes"]:
            out.text(f"Novel classes, only tested: {', '.join(recipe['novel_classes'])}")
        out.text(f"Shots: {_numbers(recipe['shots'])}\nSeeds: {_numbers(recipe['seeds'])}")
        for option, value in recipe["options"].items():
            out.text(f"  {option} = {value}")
        for option in recipe["to_be_given"]:
            out.text(f"  {option}: to be given")
        for note in recipe["notes"]:
            out.text(note)


def _numbers(values: list[int | None]) -> str:
    return ", ".join("all" if value is None else str(value) for value in values) or "any"
