"""What a file is, by its content first and its name second, and what its owner can do if it is no image.

An image is known by its first bytes, whatever its name says. Many things people bring are not images of a format that
is read (DICOM, volumes, whole slides, MATLAB files); each is named, with the way to turn it into images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.images.decode import FORMAT_NAMES, SUFFIXES, describe_content, sniff_format

START_BYTES = 512


@dataclass(frozen=True)
class FileKind:
    """What a file is: one of them in words, many of them, and what to do with them."""

    one: str
    many: str
    remedy: str


DICOM = FileKind(
    "a DICOM file",
    "DICOM files",
    "Export them as PNG with the window you read them in, for example with 'dcmj2pnm --write-png IM1.dcm IM1.png' of "
    "DCMTK or from your viewer, and keep the folders.",
)
VOLUME = FileKind(
    "a volume (NIfTI, NRRD or MetaImage)",
    "volumes (NIfTI, NRRD or MetaImage)",
    "Export the slices you want as PNG, one picture a file, into the class folders.",
)
SLIDE = FileKind(
    "a whole-slide image",
    "whole-slide images",
    "Cut the regions you want into tiles as PNG, for example with OpenSlide or QuPath, into the class folders.",
)
MATLAB = FileKind(
    "a MATLAB file (.mat)",
    "MATLAB files (.mat)",
    "Write the image in each of them as PNG into a folder named after its label, for example with scipy.io or h5py.",
)
ARRAYS = FileKind(
    "a file of arrays",
    "files of arrays (NumPy or HDF5)",
    "Write the images as PNG into class folders, or give one MedMNIST .npz by itself.",
)
PHONE = FileKind("a HEIC image", "HEIC images", "Export them as JPEG or PNG.")
PICTURE = FileKind(
    "an image of a format that is not read", "images of a format that is not read", "Export them as PNG."
)
VIDEO = FileKind("a video", "videos", "Save the frames you want as PNG, into the class folders.")
ARCHIVE = FileKind("an archive", "archives", "Unpack them first, or send one plain .zip.")
RECORDS = FileKind(
    "a file of packed records",
    "files of packed records",
    "Write the images in them as PNG into class folders; such files are never opened here.",
)
TABLE = FileKind(
    "a table or document",
    "tables or documents",
    "Add the images themselves; a table becomes a manifest with the columns path,label.",
)
OTHER = FileKind(
    "a file of another kind", "files of another kind", "Export the images as PNG, JPEG, TIFF, BMP or WebP."
)

_BY_SUFFIX: dict[FileKind, str] = {
    DICOM: ".dcm .dicom .dic .ima",
    VOLUME: ".nii .nii.gz .nrrd .nhdr .mha .mhd .mgz .mgh",
    SLIDE: ".svs .ndpi .mrxs .scn .czi .vsi .bif .vms .lif .isyntax",
    MATLAB: ".mat",
    ARRAYS: ".npy .npz .h5 .hdf5 .he5",
    PHONE: ".heic .heif",
    PICTURE: ".gif .jp2 .j2k .jpx .avif .svg .psd .raw .dng .nef .cr2 .pgm .ppm .pbm .exr .jxl .eps",
    VIDEO: ".mp4 .avi .mov .mkv .webm .wmv .mpg .mpeg",
    ARCHIVE: ".zip .rar .7z .tar .gz .tgz .bz2 .xz .zst",
    RECORDS: ".pkl .pickle .parquet .tfrecord .tfrecords .pt .pth .lmdb .mdb .arrow .feather",
    TABLE: ".csv .tsv .tab .xlsx .xls .ods .json .txt .md .pdf .doc .docx .xml .html .rtf .yaml .yml .ipynb .py",
}
_KINDS = {suffix: kind for kind, suffixes in _BY_SUFFIX.items() for suffix in suffixes.split()}
_MAGIC: tuple[tuple[int, bytes, FileKind], ...] = (
    (128, b"DICM", DICOM),
    (0, b"MATLAB ", MATLAB),
    (0, b"\x93NUMPY", ARRAYS),
    (0, b"\x89HDF", ARRAYS),
    (344, b"n+1\x00", VOLUME),
    (344, b"ni1\x00", VOLUME),
    (0, b"NRRD", VOLUME),
    (0, b"GIF8", PICTURE),
    (0, b"\x00\x00\x00\x0cjP", PICTURE),
    (4, b"ftypheic", PHONE),
    (4, b"ftypheix", PHONE),
    (4, b"ftypmif1", PHONE),
    (4, b"ftyp", VIDEO),
    (0, b"Rar!", ARCHIVE),
    (0, b"7z\xbc\xaf", ARCHIVE),
    (0, b"\x1f\x8b", ARCHIVE),
    (0, b"PK\x03\x04", ARCHIVE),
    (257, b"ustar", ARCHIVE),
)


def is_picture(name: str, start: Callable[[], bytes]) -> bool:
    """Whether a file is to be read as an image: by its suffix, else by its first bytes.

    start: gives those bytes; called only where the suffix leaves it open.
    """
    suffix = suffix_of(name)
    if suffix in SUFFIXES:
        return True
    return _KINDS.get(suffix) in (None, DICOM, PICTURE, OTHER) and sniff_format(start()) is not None


def is_known_suffix(suffix: str) -> bool:
    """Whether a suffix (in lower case, with its dot) says what a file is."""
    return suffix in SUFFIXES or suffix in _KINDS


def kind_of(name: str, start: bytes) -> FileKind:
    """What a file is that is no image. start: its first bytes (`START_BYTES` are enough), empty if unknown."""
    by_content = next((kind for at, magic, kind in _MAGIC if start[at : at + len(magic)] == magic), None)
    by_name = _KINDS.get(suffix_of(name), OTHER)
    return by_name if by_content is None or (by_content is ARCHIVE and by_name is not OTHER) else by_content


def not_an_image(name: str, start: bytes = b"") -> tuple[str, str, str]:
    """(expected, found, remedy) for a file that is no image."""
    kind, suffix = kind_of(name, start), suffix_of(name)
    named = f"a file of kind '{suffix}'" if suffix else "a file name without a suffix"
    what = kind.one if kind is not OTHER else describe_content(start) if start else ""
    found = f"found {named}" + (f": {what}" if what else "")
    return FORMAT_NAMES[:1].upper() + FORMAT_NAMES[1:], found, kind.remedy


def remedy_in(found: str) -> str | None:
    """What to do about the kind of file that a sentence names, or None."""
    return next((kind.remedy for kind in _BY_SUFFIX if kind.one in found), None)


def suffix_of(name: str) -> str:
    """The suffix of a file name in lower case; ".nii.gz" counts as one."""
    lower = PurePosixPath(name).name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else PurePosixPath(lower).suffix
