"""`methods`: what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.output import JsonFlag, command, output

app = typer.Typer(help="Methods that can be trained.", no_args_is_help=True)


@app.command("list")
@command
def list_(json: JsonFlag = False) -> None:
    """List every method."""
    from app.services.methods import list_methods

    with output(json) as out:
        out.table(list_methods(), ("name", "title", "trains", "needs", "image_path"), "There are no methods.")


@app.command()
@command
def show(
    name: Annotated[str, typer.Argument(help="A method's name, such as coop.")],
    backbone: Annotated[str, typer.Option(help="Show the preset of this backbone as defaults.")] = "embedded",
    json: JsonFlag = False,
) -> None:
    """Show a method and its options."""
    from app.services.methods import get_method

    with output(json) as out:
        method = get_method(None, name, backbone)
        out.row(method)
        if not json:
            out.text(f"{method['title']}: {method['summary']}\n{method['paper']}\n\nTrains: {method['trains']}")
            out.text(f"Needs: {', '.join(method['needs']) or 'nothing further'}\n\nOptions (--set name=value):")
            for option in method["options"]:
                out.text(f"  {option['name']} = {option['default']}{_bounds(option)}\n      {option['help']}")


def _bounds(option: dict) -> str:
    if option["choices"]:
        return f"  ({', '.join(option['choices'])})"
    unit = f" {option['unit']}" if option["unit"] else ""
    return f"  ({option['bounds'][0]:g} to {option['bounds'][1]:g}{unit})" if option["bounds"] else ""
