"""Pictures without labels that some methods learn from beside the shots: a folder's, or those the draw has left."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from core.backbones.catalogue import user_path
from core.errors import NotAllowed, NotFound, UnreadableImage, UnreadableSource
from core.images.decode import opened_picture, read_bounded
from core.images.labelled_image import LabelledImage, digest
from core.images.limits import Limits
from core.images.shots import ShotDraw

NO_LABEL = -1


@dataclass(frozen=True)
class UnlabelledPool:
    """images: their labels are `NO_LABEL`. origin: where they come from, in words. left_out: pictures that were not
    taken, by reason."""

    images: tuple[LabelledImage, ...]
    origin: str
    left_out: tuple[tuple[int, str], ...] = ()

    @property
    def sentence(self) -> str:
        """What a run says of it."""
        if not self.images:
            return f"No unlabelled images were there to learn from ({self.origin})."
        told = "".join(f"; {count} left out: {reason}" for count, reason in self.left_out if count)
        content = digest(sorted(image.sha256 for image in self.images))
        return (
            f"Learned from {len(self.images)} unlabelled images as well ({self.origin}, hash {content[:12]}{told}): "
            "methods that see the shots alone know less."
        )


def check_unlabelled(name: str, *, folders: bool) -> None:
    """Raise NotAllowed for a folder where none may be named, NotFound where there is none."""
    if not name.strip():
        return
    if not folders:
        raise NotAllowed(
            "Unlabelled images are those of the image set that are not drawn",
            "the request names a folder of this machine",
            "Leave it empty, or have the machine's owner set PROMPTOSCOPE_ALLOW_FOLDERS=true.",
        )
    if "\0" in name or not user_path(name).is_dir():
        raise NotFound("A folder of unlabelled images", f"'{name}' is none", "Check the path, or leave it empty.")


def unlabelled_pool(name: str, draw: ShotDraw) -> UnlabelledPool:
    """The pictures of a folder and of those below it, each content once; of an empty name the rest of the draw.

    Test images are never among them, nor are drawn ones. Raises NotFound, and UnreadableSource where a folder holds no
    picture that could be used.
    """
    if not name.strip():
        rest = tuple(replace(image, label=NO_LABEL) for image in draw.rest)
        return UnlabelledPool(rest, "training images that were not drawn, their labels unread")
    check_unlabelled(name, folders=True)
    folder = user_path(name)
    drawn = {image.sha256 for image in (*draw.train, *draw.validation)}
    found: dict[str, LabelledImage] = {}
    refused = {"they are no readable pictures": 0, "they are test images": 0, "they are copies of others": 0}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        sha256 = _content(file)
        if sha256 is None:
            refused["they are no readable pictures"] += 1
        elif sha256 in draw.test:
            refused["they are test images"] += 1
        elif sha256 in drawn or sha256 in found:
            refused["they are copies of others"] += 1
        else:
            found[sha256] = LabelledImage(file, file.relative_to(folder).as_posix(), NO_LABEL, "train", sha256)
    if not found:
        told = ", ".join(f"{count}: {reason}" for reason, count in refused.items() if count) or "no file"
        raise UnreadableSource("A folder with unlabelled images", f"'{folder.name}' holds none ({told})", "Check it.")
    return UnlabelledPool(
        tuple(found.values()), f"folder '{folder.name}'", tuple((count, why) for why, count in refused.items())
    )


def _content(file: Path) -> str | None:
    """SHA-256 of a picture's file; None for a file that is no picture or cannot be read."""
    try:
        content = read_bounded(file, Limits())
        with opened_picture(content) as picture:
            picture.rgb()
    except UnreadableImage:
        return None
    return hashlib.sha256(content).hexdigest()
