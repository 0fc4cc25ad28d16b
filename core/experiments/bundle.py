"""An experiment as one file that repeats it: settings, image hashes and splits, sentences, environment and answers.

A zip of `bundle.json`, `experiment.toml` for people, `answers/<position>.json` for each finished cell, and where they
are wanted the images by their hash. Without them no picture and no file name is in it; names of groups (patients) are,
for they are part of an image set's fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from core.experiments.spec import ExperimentSpec, spec_from_record
from core.experiments.toml_text import toml_text
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.images.limits import Limits
from core.images.windowing import Windowing

FORMAT = 1
MANIFEST, SETTINGS, ANSWERS, IMAGES = "bundle.json", "experiment.toml", "answers", "images"
MOST_BYTES = 1024**3
"""Of one member that is read into memory."""
IMAGE_NAME = re.compile(rf"{IMAGES}/(?P<sha256>[0-9a-f]{{64}})(?:\.[a-z0-9]{{1,8}}){{0,2}}")


PLAIN = ("sha256", "label", "part", "group", "width", "height")
"""What is kept of an image, beside how deep values are shown."""


@dataclass(frozen=True)
class Bundle:
    """What a bundle says, images aside.

    texts: {wording: {image set, or "" for all: {source, sentences}}}. sets: {"images" | "targets": {name: set}},
    without paths. environment: versions, device, precision, threads, machine, rules, backbone_checksum. cells:
    finished ones, each with position, image_set, line, shots, share, seed, descriptions. answers: {position: {parts,
    drawn}}.
    """

    name: str
    spec: ExperimentSpec
    texts: Mapping[str, Mapping[str, Mapping[str, Any]]]
    sets: Mapping[str, Mapping[str, ImageSet]]
    environment: Mapping[str, Any]
    cells: tuple[Mapping[str, Any], ...]
    answers: Mapping[int, Mapping[str, Any]]

    @property
    def contents(self) -> set[str]:
        """SHA-256 of every image."""
        found = (images for by_name in self.sets.values() for images in by_name.values())
        return {image.sha256 for images in found for image in images.images}


def write_bundle(out: Path, bundle: Bundle, images: Mapping[str, Path] | None = None) -> None:
    """Write the file. images: files by their SHA-256, where they are to leave with it."""
    manifest = {
        "format": FORMAT,
        "name": bundle.name,
        "spec": bundle.spec.as_dict(),
        "texts": bundle.texts,
        "sets": {kind: {n: _set_dict(s) for n, s in by_name.items()} for kind, by_name in bundle.sets.items()},
        "environment": bundle.environment,
        "cells": list(bundle.cells),
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(MANIFEST, _json(manifest))
        file.writestr(SETTINGS, toml_text(bundle.spec))
        for position, answers in bundle.answers.items():
            file.writestr(f"{ANSWERS}/{position}.json", _json(answers))
        for sha256, path in (images or {}).items():
            file.write(path, f"{IMAGES}/{sha256}{''.join(path.suffixes[-2:]).lower()}", zipfile.ZIP_STORED)


def read_bundle(path: Path) -> Bundle:
    """The bundle in a file. Raises InvalidInput for anything else, and for one whose fingerprints do not hold."""
    with _opened(path) as file:
        manifest = _read(file, MANIFEST)
        if manifest.get("format") != FORMAT:
            raise InvalidInput(
                f"A bundle of format {FORMAT}",
                f"found format {manifest.get('format')}",
                "Use the release that wrote it.",
            )
        return Bundle(
            name=str(manifest["name"]),
            spec=spec_from_record(manifest["spec"]),
            texts=manifest["texts"],
            sets={kind: {n: _set_of(n, s) for n, s in own.items()} for kind, own in manifest["sets"].items()},
            environment=manifest["environment"],
            cells=tuple(manifest["cells"]),
            answers={cell["position"]: _read(file, f"{ANSWERS}/{cell['position']}.json") for cell in manifest["cells"]},
        )


def unpack_images(path: Path, folder: Path) -> dict[str, Path]:
    """The images of a bundle, by their hash, written to a folder. Raises InvalidInput where one is not what it says."""
    found: dict[str, Path] = {}
    with _opened(path) as file:
        for member in file.infolist():
            name = IMAGE_NAME.fullmatch(member.filename)
            if name is None:
                continue
            with file.open(member) as stream:
                content = stream.read(Limits().max_file_bytes + 1)
            if hashlib.sha256(content).hexdigest() != name["sha256"]:
                raise _damaged(path, f"the image {name['sha256'][:12]} has other bytes")
            target = folder / Path(member.filename).name
            target.write_bytes(content)
            found[name["sha256"]] = target
    return found


def _set_dict(images: ImageSet) -> dict[str, Any]:
    rows = [
        (*(getattr(each, name) for name in PLAIN), each.windowing.as_dict() if each.windowing else None)
        for each in images.images
    ]
    return {
        "classes": list(images.classes),
        "modality": images.modality,
        "fingerprint": images.fingerprint,
        "images": rows,
    }


def _set_of(name: str, given: Mapping[str, Any]) -> ImageSet:
    images = tuple(
        LabelledImage(
            path=Path(sha256),
            name=f"{at:06}",
            label=int(label),
            part=part,
            sha256=sha256,
            group=group,
            width=width,
            height=height,
            windowing=Windowing.from_dict(windowing) if windowing else None,
        )
        for at, (sha256, label, part, group, width, height, windowing) in enumerate(given["images"])
    )
    found = ImageSet(name, tuple(given["classes"]), images, modality=given["modality"])
    if found.fingerprint != given["fingerprint"]:
        raise InvalidInput(
            f"The images of '{name}' as they were", "their fingerprint differs", "Ask for the bundle again."
        )
    return found


def _read(file: zipfile.ZipFile, name: str) -> dict[str, Any]:
    with file.open(name) as stream:
        text = stream.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise InvalidInput(f"At most {MOST_BYTES:,} bytes in '{name}'", "found more", "Ask for the bundle again.")
    return dict(json.loads(text))


def _json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, default=dict)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip; whatever else a file may be is told as one error."""
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> InvalidInput:
    return InvalidInput("A whole file of `promptoscope bundle export`", f"'{path.name}': {why}", "Ask for it again.")
