"""`descriptions generate`: sentences about classes, written by a language model as drafts for people to review."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.home import opened
from app.commands.output import DISCLAIMER, LARGEST_NUMBER, JsonFlag, Output, command, output


def parse_pairs(pairs: list[str]) -> dict[str, str]:
    """`class=other` texts as a dict."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, other = pair.partition("=")
        if not equals or not name.strip() or not other.strip():
            raise typer.BadParameter(f"'{pair}' is not of the form class=other", param_hint="--similar")
        found[name.strip()] = other.strip()
    return found


@command
def generate(
    name_or_images: Annotated[
        str, typer.Argument(help="A description set, an image set or images at a path: whose classes are described.")
    ],
    prompt: Annotated[
        str, typer.Option(help="visible_features, contrast, attributes, disease_relation, or a file of your own.")
    ] = "visible_features",
    classes: Annotated[list[str] | None, typer.Option(help="Only this class; may be given again.")] = None,
    n: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_NUMBER, help="Sentences for each class; the prompt's own number.")
    ] = None,
    instructions: Annotated[str, typer.Option(help="Further wishes, sent with every question.")] = "",
    modality: Annotated[str | None, typer.Option(help="What the pictures are, such as 'chest X-ray'.")] = None,
    similar: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS=OTHER", help="The class that one is told from; else the nearest by its text."),
    ] = None,
    backbone: Annotated[str, typer.Option(help="Whose text tower says which classes are similar.")] = "embedded",
    model: Annotated[str | None, typer.Option(help="Another model of the endpoint in the settings.")] = None,
    folder: Annotated[str | None, typer.Option(help="Folder of a language model on this machine instead.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the words of a model on this machine.")] = 1,
    name: Annotated[str | None, typer.Option(help="Name of the description set for images; theirs by default.")] = None,
    author: Annotated[str, typer.Option(help="Who asks.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print exactly what would be sent, and send nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest writing that was interrupted here, as it was asked.")
    ] = False,
    job: Annotated[bool, typer.Option("--job", help="Queue it for the worker instead of writing here.")] = False,
    json: JsonFlag = False,
) -> None:
    """Have a language model write sentences about each class, as drafts. Only class names, kind of image and wishes are
    sent, never images."""
    from app.services import description_writing as writing

    wish = writing.Wish(
        prompt=prompt,
        classes=classes,
        n=n,
        instructions=instructions,
        modality=modality,
        similar=parse_pairs(similar or []),
        backbone=backbone,
        model=model,
        folder=folder,
        seed=seed,
        actor=author,
    )
    with output(json) as out, opened() as ctx:
        target = writing.target_of(ctx, name_or_images, name)
        if dry_run:
            _show_preview(out, writing.preview(ctx, target, wish, folders=True))
        elif job:
            task = writing.start(ctx, target, wish)
            out.row(task, f"Job {task['job']['id']} waits for the worker: `promptoscope job show {task['job']['id']}`.")
        elif resume:
            task = writing.resume_here(ctx, target, on_class=lambda part: _show_class(out, part))
            _show_end(out, task)
        else:
            task = writing.write_here(ctx, target, wish, on_class=lambda part: _show_class(out, part))
            _show_end(out, task)


def _show_preview(out: Output, found: dict[str, Any]) -> None:
    for each in found["classes"]:
        text = "\n".join(f"[{message['role']}]\n{message['content']}\n" for message in each["messages"])
        out.row(each, f"=== {each['class']} ===\n{text}")
    if found["problem"]:
        out.note(found["problem"])
    summary = {key: value for key, value in found.items() if key not in {"classes", "prompt"}}
    cost = "" if found["cost"] is None else f", cost about {found['cost']:g}"
    took = f"{found['requests']} requests, about {found['tokens_in'] + found['tokens_out']} tokens{cost}"
    out.row(summary | {"prompt": found["prompt"]["name"]}, f"Nothing was sent. {_way(found)}It would take {took}.")


def _way(found: dict[str, Any]) -> str:
    return f"It would go to {found['address']}. " if found["address"] else ""


def _show_class(out: Output, part: dict[str, Any]) -> None:
    answer = part["answer"] or {}
    found = {"class": part["label"], "state": part["state"], "error": part["error"]}
    found |= {name: answer.get(name, []) for name in ("sentences", "dropped")}
    if part["error"]:
        out.row(found, f"{part['label']}: none. {part['error']['message']}")
        return
    left_out = f", {len(found['dropped'])} left out" if found["dropped"] else ""
    out.row(found, f"{part['label']}: {len(found['sentences'])} sentences{left_out}")


def _show_end(out: Output, task: dict[str, Any]) -> None:
    described, result = task["description_set"], task["result"]
    summary = {"description_set": described, "task_id": task["id"], **result, "disclaimer": DISCLAIMER}
    out.row(summary, f"{result['sentences']} drafts are in '{described['name']}'. A person has to review them.")
