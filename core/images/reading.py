"""Reading image sets: every layout people bring, every bad file named, every good one kept.

All images are decoded fully once, in threads, so that a cut-off file is found now and not in the middle of a training.
Images of folders, manifests and split files stay where they are unless a store is given; those of zips, uploads and
MedMNIST archives are written to the store under their hash.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from core.disk import is_full
from core.errors import InvalidOption, UnreadableImage, UnreadableSource
from core.images import split
from core.images.archive import RefusedFile, ZipSource, check_nested, printable, safe_name
from core.images.columns import ColumnChoice
from core.images.decode import STORED_SUFFIX, SUFFIXES, read_bounded, sniff_format
from core.images.file_kind import START_BYTES, not_an_image, suffix_of
from core.images.findings import faults_note
from core.images.labelled_image import LabelledImage, Problem
from core.images.layout import plan_source
from core.images.limits import Limits, megabytes
from core.images.masks import join_masks
from core.images.medmnist import NAMES_SUFFIXES, MedMnistSource, names_beside, parse_names, plan_medmnist
from core.images.plan import Entry, Plan
from core.images.refusal import TWO_CLASSES, most_common, refused_words, remedy_for, weighty
from core.images.sent_file import true_name, true_suffix
from core.images.sheet import SHEET_SUFFIXES, other_table
from core.images.signature import flush_signatures, map_in_threads, sign
from core.images.source import FolderSource, OverlaySource, Source, UploadSource
from core.images.store import FileStore
from core.images.windowing import windowing_note
from core.scratch import process_folder
from core.settings import Settings

HOLD_OUT = 0.3
# Beyond this many files an upload is a folder, whose files are looked at one by one.
MOST_ARCHIVES = 8
_Loaded = tuple[LabelledImage | None, list[Problem], str | None]
_Fetched = tuple[Entry, bytes, list[bytes]] | Problem


class Contents(NamedTuple):
    """What was read: the fields of an `ImageSet`, in its order."""

    name: str
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    modality: str | None
    extra: dict[str, str]


class UnusableImageSet(UnreadableSource):
    """A source without a usable image set; `problems` says what was wrong with each file."""

    def __init__(self, expected: str, found: str, remedy: str, problems: Sequence[Problem]) -> None:
        super().__init__(expected, found, remedy)
        self.problems = tuple(problems)


def read_path(
    path: str | Path,
    name: str | None = None,
    *,
    store_dir: str | Path | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    modality: str | None = None,
    hold_out: float = HOLD_OUT,
    choice: ColumnChoice | None = None,
) -> Contents:
    """Read a folder, zip, CSV manifest, CoOp `split_*.json` or MedMNIST `.npz` as an image set.

    name: of the set, by default the file's. store_dir: where to keep image files by content (by default folders stay
    in place and others are unpacked to a folder that lives as long as this process). seed and hold_out: of the test
    part, where none is given. choice: columns of a table that a person chose. Raises UnreadableSource (UnusableImageSet
    with all problems, if no two classes with readable training images remain), InvalidOption for a column that is not
    there.
    """
    path, limits = Path(path), limits or Limits()
    store = FileStore(store_dir) if store_dir is not None else None
    finish = functools.partial(
        _read, name=name or path.stem, store=store, seed=seed, limits=limits, modality=modality, fraction=hold_out
    )
    if path.is_dir():
        return finish(FolderSource(path, limits), lambda source: plan_source(source, None, choice))
    if not path.is_file():
        raise UnreadableSource("An existing folder or file", f"found nothing at '{path}'", "Check the path.")
    with path.open("rb") as stream:
        kind = true_suffix(path.name, stream, limits)
        if kind in (*SHEET_SUFFIXES, ".json") or other_table(f"x{kind}"):
            _check_listing_size(path.stat().st_size, limits)
            listed, listing = listed_folder(path, stream, kind, limits)
            return finish(listed, lambda source: plan_source(source, listing, choice))
        if kind in SUFFIXES:
            raise UnreadableSource(
                "A folder, zip, manifest or MedMNIST archive", "found a single image", "Give the folder of its classes."
            )
        if kind == ".npz":
            _refuse_choice(choice)
            arrays, beside = MedMnistSource(stream, limits), names_beside(path)
            names = parse_names(read_bounded(beside, limits), beside.name) if beside else None
            wanted = path.with_suffix(".json").name
            return finish(arrays, lambda _: plan_medmnist(arrays, names, wanted, seed))
        return finish(ZipSource(stream, limits), lambda source: plan_source(source, None, choice))


def listed_folder(path: Path, stream: BinaryIO, suffix: str, limits: Limits) -> tuple[Source, str]:
    """The folder of a manifest or split file, and the file's name in it. suffix: what its content is."""
    folder = FolderSource(path.parent, limits)
    if path.suffix.lower() == suffix:
        return folder, path.name
    name = f"{path.name}{suffix}"
    return OverlaySource(folder, name, stream.read()), name


def read_upload(
    files: Sequence[tuple[str, BinaryIO]],
    name: str | None = None,
    *,
    store_dir: str | Path | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    modality: str | None = None,
    hold_out: float = HOLD_OUT,
    choice: ColumnChoice | None = None,
) -> Contents:
    """Read an upload: a zip or an `.npz`, alone or with a table or names beside it, or many files by relative names.

    files: (relative name, seekable binary stream). The rest is as in `read_path`.
    """
    limits = limits or Limits()
    if not files:
        raise UnreadableSource("A zip, or images in class folders", "found no file", "Choose files and send again.")
    if len(files) <= MOST_ARCHIVES:
        files = [(true_name(name, stream, limits), stream) for name, stream in files]
    source, plan_it = _upload_source(files, limits, choice, seed)
    return _read(
        source,
        plan_it,
        name=name or _upload_name(files),
        store=FileStore(store_dir) if store_dir is not None else None,
        seed=seed,
        limits=limits,
        modality=modality,
        fraction=hold_out,
    )


def _upload_source(
    files: Sequence[tuple[str, BinaryIO]], limits: Limits, choice: ColumnChoice | None, seed: int
) -> tuple[Source, Callable[[Source], Plan]]:
    """The source an upload amounts to, and what plans it."""
    archives = [file for file in files if _suffix(file[0]) in (".zip", ".npz")]
    others = [file for file in files if file not in archives]
    recognised = functools.partial(plan_source, table_name=None, choice=choice)
    if len(archives) != 1 or any(_suffix(name) in SUFFIXES for name, _ in others):
        return UploadSource(files, limits), recognised
    name, stream = archives[0]
    if _suffix(name) == ".npz":
        _refuse_choice(choice)
        return _array_source(stream, others, limits, seed)
    source: Source = ZipSource(stream, limits)
    listings = [_listing(file, limits) for file in others]
    for listing, content in listings:
        source = OverlaySource(source, listing, content)
    # A text may be a README; a table or split file sent beside a zip is meant.
    listed = listings[0][0] if len(listings) == 1 and _suffix(listings[0][0]) != ".txt" else None
    return source, functools.partial(plan_source, table_name=listed, choice=choice)


def _array_source(
    stream: BinaryIO, others: Sequence[tuple[str, BinaryIO]], limits: Limits, seed: int
) -> tuple[Source, Callable[[Source], Plan]]:
    """An .npz, with the one file of class names that was sent with it."""
    arrays = MedMnistSource(stream, limits)
    if not others:
        return arrays, lambda _: plan_medmnist(arrays, None, seed=seed)
    if len(others) > 1 or _suffix(others[0][0]) not in NAMES_SUFFIXES:
        sent = ", ".join(f"'{printable(name)}'" for name, _ in others)
        raise UnreadableSource(
            "One .npz, alone or with a file of its class names (.json, .txt or .csv)", f"found {sent}"
        )
    listing, content = _listing(others[0], limits)
    names = parse_names(content, listing)
    return arrays, lambda _: plan_medmnist(arrays, names, seed=seed)


def _listing(file: tuple[str, BinaryIO], limits: Limits) -> tuple[str, bytes]:
    """Name and content of a small file sent beside an archive."""
    name, stream = file
    if _suffix(name) not in (*SHEET_SUFFIXES, ".json"):
        kind = other_table(name)
        found = f"found {kind}" if kind else f"found a file of kind '{_suffix(name)}'"
        remedy = "Save the table as CSV." if kind else ""
        raise UnreadableSource("One zip, alone or with its manifest (.csv or .json)", found, remedy)
    content = stream.read(limits.max_text_bytes + 1)
    _check_listing_size(len(content), limits)
    try:
        return PurePosixPath(safe_name(name, limits)).name, content
    except RefusedFile as error:
        raise UnreadableSource(error.expected, error.found, error.remedy) from error


def _refuse_choice(choice: ColumnChoice | None) -> None:
    """Raises InvalidOption for a chosen column where there is no table."""
    if choice is not None and (choice.label is not None or (choice.group is not None and not choice.is_ungrouped)):
        raise InvalidOption(
            "Columns are chosen of a table beside the images", "an .npz has no table", "Leave the choice out."
        )


def _suffix(name: str) -> str:
    return PurePosixPath(name or "").suffix.lower()


def _upload_name(files: Sequence[tuple[str, BinaryIO]]) -> str:
    """A name for the set: the zip's, or the folder's that was chosen."""
    zips = [name for name, _ in files if _suffix(name) in (".zip", ".npz")]
    first = PurePosixPath((zips or [files[0][0]])[0].replace("\\", "/"))
    return first.stem if zips or len(first.parts) < 2 else first.parts[0]


def _read(
    source: Source,
    plan_it: Callable[[Source], Plan],
    *,
    name: str,
    store: FileStore | None,
    seed: int,
    limits: Limits,
    modality: str | None,
    fraction: float,
) -> Contents:
    """Plan, load, check the classes, hold out a test part if there is none."""
    try:
        plan = plan_it(source)
    except RefusedFile as error:  # the listing itself could not be read
        raise UnreadableSource(error.expected, error.found, error.remedy) from error
    except UnreadableSource as error:
        raise UnusableImageSet(error.expected, error.found, error.remedy, source.problems) from error
    images, refused, misnamed = _load(source, plan, store, limits)
    problems = [*source.problems, *plan.problems, *refused]
    notes = [*source.notes, *plan.notes, *_misnamed_note(misnamed)]
    if not any(image.part == "test" for image in images):
        images = _with_test_part(images, plan.classes, fraction, seed, notes, problems)
    images, classes = _trainable(images, plan.classes, notes, problems)
    notes += [*_repeats(images), *faults_note(((i.name, i.findings or ()) for i in images), len(images))]
    notes += windowing_note((i.windowing for i in images if i.windowing), len(images))
    extra = {"grouped_by": plan.grouped_by} if plan.grouped_by else {}
    said = tuple(dict.fromkeys(notes))  # several tables may say the same
    return Contents(name, tuple(classes), tuple(images), tuple(problems), said, modality, extra)


def _load(
    source: Source, plan: Plan, store: FileStore | None, limits: Limits
) -> tuple[list[LabelledImage], list[Problem], list[str]]:
    """Read, decode and store every planned file; images stay in planned order.

    Returns the images, the problems, and what was read although its name says another format.
    """
    images: list[LabelledImage] = []
    problems: list[Problem] = []
    misnamed: list[str] = []
    work = functools.partial(_take, source=source, store=store, limits=limits)
    fetched = _fetch(source, plan, problems, keeps_masks=store is not None)
    for image, found, other_format in map_in_threads(work, fetched, _n_bytes):
        problems += found
        if image is not None:
            images.append(image)
        if other_format is not None:
            misnamed.append(other_format)
    if store is not None:
        store.flush()
    flush_signatures()
    return images, problems, misnamed


def _misnamed_note(misnamed: Sequence[str]) -> list[str]:
    if not misnamed:
        return []
    files = "1 file holds" if len(misnamed) == 1 else f"{len(misnamed)} files hold"
    return [f"{files} another format than the name says, such as {misnamed[0]}: the content was taken."]


def _fetch(source: Source, plan: Plan, problems: list[Problem], keeps_masks: bool) -> Iterator[_Fetched]:
    """Bytes of each file, read one after the other: archives cannot be read from several threads."""
    for entry in plan.entries:
        try:
            check_nested(entry.name)
            content = source.read(entry.key)
        except RefusedFile as refusal:
            yield refusal.about(entry.name)
        else:
            wanted = entry.masks if keeps_masks or source.path(entry.key) is None else ()
            yield entry, content, list(_fetch_masks(source, wanted, problems))


def _n_bytes(fetched: _Fetched) -> int:
    return 0 if isinstance(fetched, Problem) else len(fetched[1]) + sum(map(len, fetched[2]))


def _fetch_masks(source: Source, masks: Sequence[str], problems: list[Problem]) -> Iterator[bytes]:
    """Bytes of masks; a refused mask is a problem of its own and does not cost the image."""
    for mask in masks:
        try:
            check_nested(mask)
            content = source.read(mask)
        except RefusedFile as refusal:
            problems.append(refusal.about(mask))
        else:
            yield content


def _take(fetched: _Fetched, source: Source, store: FileStore | None, limits: Limits) -> _Loaded:
    """Decode one file and keep it: the labelled image, or None, and its problems."""
    if isinstance(fetched, Problem):
        return None, [fetched], None
    entry, content, masks = fetched
    try:
        check_content(entry.name, content)
        sha256 = hashlib.sha256(content).hexdigest()
        signature = sign(content, sha256, limits)
    except RefusedFile as refusal:
        return None, [refusal.about(entry.name)], None
    except UnreadableImage as error:
        return None, [Problem(entry.name, error.code, error.expected, error.found)], None
    place = source.path(entry.key) if store is None else None
    path = place or (store or process_store()).put(content, STORED_SUFFIX[signature.format], durable=False)[1]
    beside = tuple(mask for key in entry.masks if place and (mask := source.path(key)))
    image = LabelledImage(
        path,
        entry.name,
        entry.label,
        entry.part or "train",
        sha256,
        entry.group,
        signature.width,
        signature.height,
        signature.windowing,
        signature.findings,
        beside,
    )
    told = None if _is_named_right(entry.name, signature.format) else f"'{entry.name}' ({signature.format})"
    return image, [] if place else _keep_mask(image, masks, limits), told


def _is_named_right(name: str, form: str) -> bool:
    return SUFFIXES.get(suffix_of(name)) == form


def _keep_mask(image: LabelledImage, masks: list[bytes], limits: Limits) -> list[Problem]:
    """Write the masks of a stored image beside it, once."""
    target = image.path.with_suffix(".mask.png")
    if not masks:
        return []
    try:
        joined = join_masks(masks, (image.width, image.height), limits)
    except UnreadableImage as error:
        return [Problem(image.name, "unreadable_mask", error.expected, error.found)]
    if joined is None:
        return [Problem(image.name, "mask_size", "a mask as large as its image", "a mask of another size")]
    if target.exists() and target.read_bytes() != joined:
        return [Problem(image.name, "other_mask", "one mask for the same image", "another one, which was kept")]
    partial = target.with_name(f".{target.name}.{threading.get_ident()}")
    partial.write_bytes(joined)
    partial.replace(target)
    return []


def check_content(name: str, content: bytes) -> None:
    """Raises RefusedFile for content that is no image and for two files in one. The name counts only where it must."""
    if sniff_format(content) is None and suffix_of(name) not in SUFFIXES:
        raise RefusedFile("not_an_image", *not_an_image(name, content[:START_BYTES]))
    if _ends_as_zip(content):
        raise RefusedFile("polyglot", "An image and nothing else", "found a file that is a ZIP archive as well")


def _ends_as_zip(content: bytes) -> bool:
    """Whether the bytes end with a zip's end record; its length must fit, as four bytes alone occur by chance."""
    tail = content[-65_557:]
    at = tail.rfind(b"PK\x05\x06")
    return at >= 0 and len(tail) >= at + 22 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail)


def _check_listing_size(n_bytes: int, limits: Limits) -> None:
    if n_bytes > limits.max_text_bytes:
        raise UnreadableSource(f"A manifest of at most {megabytes(limits.max_text_bytes)}", "found a larger one")


def _with_test_part(
    images: list[LabelledImage],
    classes: list[str],
    fraction: float,
    seed: int,
    notes: list[str],
    problems: list[Problem],
) -> list[LabelledImage]:
    """Hold a test part out of all other images, in place.

    Validation images are drawn from as well: a patient with images in train and val goes over with all of them.
    """
    train = Counter(image.label for image in images if image.part == "train")
    counts = Counter(image.label for image in images)
    # Classes without training images are told and left out later; one image cannot stand on two sides.
    lonely = [label for label, count in counts.items() if train[label] and count < 2]
    problems += [
        Problem(i.name, "too_few_images", "at least 2 images in a class to hold a test part out", "the only one")
        for i in images
        if i.label in lonely
    ]
    rest = [image for image in images if image.label not in lonely and train[image.label]]
    held = split.hold_out(rest, classes, fraction, seed)
    how = "by group" if any(image.group for image in rest) else "by image (no groups are known)"
    notes.append(
        f"No test part was given: {len(held.held)} of {len(rest)} images, {fraction:.0%} of each class, "
        f"were held out {how} with seed {seed}."
    )
    notes += held.notes
    test = {image.name: image for image in held.held}
    return [test.get(image.name, image) for image in images if image.label not in lonely]


def _trainable(
    images: list[LabelledImage], classes: list[str], notes: list[str], problems: list[Problem]
) -> tuple[list[LabelledImage], list[str]]:
    """Only classes with training images, labels closed up. Raises UnusableImageSet below two classes."""
    trained = sorted({image.label for image in images if image.part == "train"})
    for image in images:
        if image.label not in trained:
            problems.append(
                Problem(
                    image.name, "untrained_class", "training images in every class", f"none in '{classes[image.label]}'"
                )
            )
    dropped = [f"'{name}'" for label, name in enumerate(classes) if label not in trained]
    if len(trained) < 2:
        raise UnusableImageSet(
            TWO_CLASSES,
            "; ".join([_what_remained([classes[label] for label in trained], weighty(problems)), *_merged(notes)]),
            remedy_for(weighty(problems)),
            problems,
        )
    if dropped:
        notes.append(f"Left out, because no training image could be used: {', '.join(dropped)}.")
    rank = {label: index for index, label in enumerate(trained)}
    kept = [replace(i, label=rank[i.label]) for i in images if i.label in rank]
    notes += [
        f"Class '{classes[label]}' has no test image."
        for label in trained
        if not any(i.label == label and i.part == "test" for i in images)
    ]
    return kept, [classes[label] for label in trained]


def _what_remained(classes: list[str], problems: list[Problem]) -> str:
    found = f"found one, '{classes[0]}'" if classes else "found none"
    if not problems:
        return found
    typical = most_common(problems)
    return f"{found}; {refused_words(problems)} (expected {_lower(typical.expected)}; {typical.found})"


def _merged(notes: Sequence[str]) -> list[str]:
    """What was said about folders that became one class, or no class."""
    return [note.rstrip(".") for note in notes if "read as one class" in note or "are no training images" in note]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _repeats(images: Sequence[LabelledImage]) -> list[str]:
    """A sentence about files that stand in one class and part more than once."""
    counts = Counter((image.sha256, image.label, image.part) for image in images)
    extra = sum(count - 1 for count in counts.values())
    if not extra:
        return []
    return [f"{extra} file{'s repeat' if extra > 1 else ' repeats'} another file of the same class and part."]


@functools.cache
def process_store() -> FileStore:
    """A private store in the home folder's cache that is removed when this process ends, or at the next start.

    Where the home folder cannot be written it lies in the system's temporary folder.
    """
    try:
        return FileStore(process_folder(Settings().unpacked_dir))
    except OSError as error:
        if is_full(error):
            raise
        return FileStore(process_folder(Path(tempfile.mkdtemp(prefix="promptoscope-"))))
