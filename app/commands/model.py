"""A model as commands name it: a folder, or a stored model's name or id."""

from __future__ import annotations

from pathlib import Path

from app.commands.home import opened, settings

CARD_FILE = "adapter_config.json"


def find_folder(folder_or_name: str) -> Path:
    """The model folder. No database is touched where a folder is given. Raises NotFound."""

    for folder in (Path(folder_or_name), settings().models_dir / folder_or_name):
        if (folder / CARD_FILE).is_file():
            return folder.resolve()
    from app.services.models import find_model, model_folder

    with opened() as ctx:
        return model_folder(ctx, find_model(ctx, folder_or_name))


def trained_on(folder: Path, source: str) -> str:
    """In words, which descriptions the model in a folder was trained on.

    source: as its card says. Of a model of the home folder it is also told whether there is a newer version by now.
    """
    from app.services.models import description_use

    if folder.parent != settings().models_dir.resolve():
        return source
    with opened() as ctx:
        use = description_use(ctx, folder.name)
    return str(use["sentence"]) if use else source
