"""Experiments before they are recorded: read from a file or a form, checked, with images and wordings found."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.services.context import Context
from app.services.descriptions import get_description_set
from app.services.image_sets import get_image_set, load_image_set
from app.services.incoming_images import kept_from_path
from app.services.packs import pack_meant
from app.services.recipes import recipe_method
from app.services.training import check_test_part, checked_config
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import read_descriptions
from core.descriptions.packs import fitting
from core.errors import InvalidInput, InvalidOption, NotFound
from core.experiments.spec import ExperimentSpec, parse_spec, parse_toml
from core.images.image_set import ImageSet
from core.images.labelled_image import digest
from core.records import descriptions as description_records
from core.records.runs import RunRequest
from core.text import fit_name
from core.tuning.method_cards import baseline_method, method_title
from core.tuning.registry import check_method_name

Given = Mapping[str, Any] | str | bytes
"""The values of an experiment, or the text of a TOML file."""
OWN_PARTS = ("test", "base", "novel")
FITTING_PACK = "fitting pack"
FIRST_SENTENCES = re.compile(r"(?P<text>.+), first (?P<number>[1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Planned:
    """An experiment that can be recorded. sources, texts: see `core.records.tables.ExperimentRow`."""

    spec: ExperimentSpec
    hash: str
    sources: dict[str, dict[str, str]]
    texts: dict[str, dict[str, dict[str, Any]]]
    image_sets: dict[str, ImageSet]
    targets: dict[str, ImageSet]
    cells: list[dict[str, Any]]


def parsed(given: Given) -> ExperimentSpec:
    """The experiment in values or in the text of a file. Raises InvalidOption, InvalidInput."""
    spec = parse_spec(given if isinstance(given, Mapping) else parse_toml(given))
    return replace(spec, name=fit_name(spec.name, "An experiment's name"))


def line_titles(spec: ExperimentSpec) -> dict[str, str]:
    """What people call each line: the method's title in place of its name."""
    found = {
        line.label: f"{method_title(line.method)}{line.label.removeprefix(line.method)}" for line in spec.candidates
    }
    baseline = baseline_method()
    return {baseline: method_title(baseline)} | found


def plan(ctx: Context, given: Given, *, paths: bool = False) -> Planned:
    """The experiment as it would be recorded, checked; images at paths are kept as image sets. Raises as `create`."""
    spec = parsed(given)
    for line in spec.candidates:
        check_method_name(recipe_method(line.recipe) if line.recipe else line.method)
    _check_lines(ctx, spec, paths or ctx.settings.allow_folders)
    images = {row["name"]: row["id"] for row in (_stored_images(ctx, each, paths) for each in spec.images)}
    targets = {
        _target_name(row["name"]): row["id"]
        for row in (_stored_images(ctx, each, paths) for each in spec.target_images)
    }
    _check_once(spec, images, targets)
    loaded = {name: load_image_set(ctx, set_id) for name, set_id in images.items()}
    prints = {name: found.fingerprint for name, found in loaded.items()}
    targets_loaded = {name: load_image_set(ctx, set_id) for name, set_id in targets.items()}
    _check_images(spec, loaded, targets_loaded)
    texts = {
        _wording_name(text): _wording(ctx, text, images, loaded, paths)
        for text in spec.descriptions
        if text is not None
    }
    spec = replace(
        spec,
        images=tuple(images),
        target_images=tuple(targets),
        descriptions=tuple(None if text is None else _wording_name(text) for text in spec.descriptions),
    )
    named_by_content = replace(
        spec,
        images=tuple(prints.values()),
        target_images=tuple(found.fingerprint for found in targets_loaded.values()),
    )
    wordings = [[name, of, text["sentences"]] for name, by_set in texts.items() for of, text in by_set.items() if text]
    # sets may be renamed by whoever adds the same images again, so wordings of sets are told apart by content too
    wordings = [[name, prints.get(of, ""), sentences] for name, of, sentences in wordings]
    name = digest([named_by_content.hash, json.dumps(wordings, sort_keys=True)])
    sources, cells = {"images": images, "targets": targets}, _cells(spec, images, prints)
    return Planned(spec, name, sources, texts, loaded, targets_loaded, cells)


def _cells(spec: ExperimentSpec, images: Mapping[str, str], prints: Mapping[str, str]) -> list[dict[str, Any]]:
    from core.experiments.cells import plan_cells

    return [
        {
            "image_set_id": images[cell.image_set],
            "image_set_name": cell.image_set,
            "image_set_fingerprint": prints[cell.image_set],
            "line": cell.candidate.label,
            "method": cell.candidate.method,
            "shots": cell.shots,
            "share": cell.share,
            "seed": cell.seed,
            "descriptions": cell.descriptions,
        }
        for cell in plan_cells(spec, baseline_method())
    ]


def _check_lines(ctx: Context, spec: ExperimentSpec, folders: bool) -> None:
    """Raises InvalidOption, NotFound, Unavailable or NotAllowed for a line that could not be trained."""
    for line in spec.candidates:
        asked = RunRequest(
            "",
            line.method,
            backbone=spec.backbone,
            variant=line.variant,
            recipe=line.recipe,
            epochs=spec.epochs,
            views=spec.views,
            options=line.options,
            modality=spec.modality,
            template=spec.template,
        )
        checked_config(ctx.home, asked, folders=folders)


def _stored_images(ctx: Context, named: str, paths: bool) -> dict[str, Any]:
    return kept_from_path(ctx, named) if paths and os.path.exists(named) else get_image_set(ctx, named)


def _target_name(name: str) -> str:
    """What a target's part is called: never as a part that every run may have."""
    return f"{name} (target)" if name in OWN_PARTS else name


def _check_once(spec: ExperimentSpec, images: Mapping[str, str], targets: Mapping[str, str]) -> None:
    for key, asked, found in (("images", spec.images, images), ("target_images", spec.target_images, targets)):
        if len(found) < len(asked):
            raise InvalidOption(f"Each of '{key}' is another image set", f"{len(asked)} names are {len(found)} sets")


def _check_images(spec: ExperimentSpec, images: Mapping[str, ImageSet], targets: Mapping[str, ImageSet]) -> None:
    """Raises TooFewImages, ClassMismatch, InvalidOption or InvalidInput for sets on which no cell could be run."""
    from core.images.protocol_draws import halves

    for found in (*images.values(), *targets.values()):
        check_test_part(found)
    sources = {found.fingerprint: name for name, found in images.items()}
    same = [(name, sources[found.fingerprint]) for name, found in targets.items() if found.fingerprint in sources]
    if same:
        raise InvalidOption(
            "A target is another set than the one that is learned on",
            f"'{same[0][0]}' holds the images of '{same[0][1]}'",
            "Leave it out: the source's own test part is measured anyway.",
        )
    if spec.protocol == "base-to-novel":
        for name, found in images.items():
            try:
                halves(found.classes, spec.base_classes)
            except InvalidInput as error:
                text = f"'{name}' cannot be split: {error.expected[0].lower()}{error.expected[1:]}"
                raise type(error)(text, error.found, error.remedy) from None


def _wording_name(text: str) -> str:
    """What a wording is called: the name of a stored set, or of a file without its folders."""
    return Path(text).name if os.sep in text else text


def _wording(
    ctx: Context, text: str, ids: Mapping[str, str], loaded: Mapping[str, ImageSet], paths: bool
) -> dict[str, dict[str, Any]]:
    """The sentences of one wording (a file, a stored set or a pack), by image set or for all ("").

    "fitting pack" is the closest pack of each image set. With ", first N" behind it the first N sentences of each class
    are taken. Raises NotFound, ClassMismatch where a class has no sentence, UnreadableSource, InvalidInput where one
    has fewer than N.
    """
    if cut := FIRST_SENTENCES.fullmatch(text):
        whole = _wording(ctx, cut["text"], ids, loaded, paths)
        return {of: _first_sentences(each, int(cut["number"])) for of, each in whole.items()}
    if text == FITTING_PACK:
        return {name: _of_fitting_pack(loaded[name]) for name in ids}
    if paths and os.path.isfile(text):
        found = read_descriptions(Path(text))
        return {"": _checked_text(found, None, loaded.values())}
    if pack := pack_meant(ctx, text):
        return {name: _checked_text(pack.for_classes(loaded[name].classes), None, [loaded[name]]) for name in ids}
    with ctx.db.reading() as session:
        named = description_records.ids_of_sets_called(session, text)
    rows = [get_description_set(ctx, set_id) for set_id in named]
    if len(rows) == 1:
        return {"": _text_of(rows[0], loaded.values())}
    by_set = {}
    for name, set_id in ids.items():
        own = [row for row in rows if row["image_set_id"] == set_id]
        if len(own) != 1:
            raise NotFound(
                f"A description set '{text}' for the images '{name}'",
                "there is none" if not own else "there are several",
                "List the description sets to see their names.",
            )
        by_set[name] = _text_of(own[0], [loaded[name]])
    return by_set


def _first_sentences(text: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The first ones of each class: no longer the version that was signed off, so none is named."""
    for name, own in text["sentences"].items():
        if len(own) < number:
            raise InvalidInput(
                f"At least {number} sentences about each class", f"'{name}' has {len(own)}", "Ask for fewer."
            )
    sentences = {name: own[:number] for name, own in text["sentences"].items()}
    return {"source": f"{text['source']}, first {number}", "version_id": None, "sentences": sentences}


def _of_fitting_pack(found: ImageSet) -> dict[str, Any]:
    packs = fitting(found.classes, found.modality or found.name)
    if not packs:
        raise NotFound(f"A built-in pack for the classes of '{found.name}'", "there is none", "Name a description set.")
    return _checked_text(packs[0].for_classes(found.classes), None, [found])


def _text_of(row: Mapping[str, Any], found: Any) -> dict[str, Any]:
    sentences = {name: tuple(texts) for name, texts in row["sentences"].items()}
    texts = DescriptionSet(sentences, f"{row['name']}, version {row['version']}")
    return _checked_text(texts, row["version_id"], found)


def _checked_text(texts: DescriptionSet, version_id: str | None, found: Any) -> dict[str, Any]:
    for image_set in found:
        texts.for_classes(image_set.classes)
    sentences = {name: list(own) for name, own in texts.sentences.items()}
    return {"source": texts.source, "version_id": version_id, "sentences": sentences}
