"""Names in zips: marked, stated in the Unicode field, or guessed and told."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from core.images.archive import ZipSource
from core.images.read import read_uploaded_files
from tests.core.images import builders as b


def unmarked(words: list[str], encoding: str, stated: bool = False, lies: bool = False) -> bytes:
    """A zip as a packer of that code page writes it, the UTF-8 flag not set; stated: with the Unicode path field."""
    members = [f"train/{word}/{n}.png" for word in words for n in range(3)]
    stand_ins = [chr(65 + k) * len(name.encode(encoding)) for k, name in enumerate(members)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for k, (name, stand_in) in enumerate(zip(members, stand_ins, strict=True)):
            info = zipfile.ZipInfo(stand_in)
            if stated:
                field = struct.pack("<BL", 1, zlib.crc32(name.encode(encoding)) + lies) + name.encode()
                info.extra = struct.pack("<HH", 0x7075, len(field)) + field
            archive.writestr(info, b.encoded(k))
    content = file.getvalue()
    for name, stand_in in zip(members, stand_ins, strict=True):
        content = content.replace(stand_in.encode(), name.encode(encoding))
    return content


GUESSED = {
    "GBK": ("gbk", ["\u6b63\u5e38", "\u80f6\u8d28\u7624"]),
    "CP850": ("cp850", ["lesi\u00f3n \u00c1", "ni\u00f1o"]),
    "CP437": ("cp437", ["na\u00efve", "tum\u00f6r"]),
    "Shift-JIS": ("cp932", ["\u6b63\u5e38", "\u816b\u760d"]),
    "EUC-KR": ("euc_kr", ["\uc815\uc0c1", "\uc885\uc591"]),
    "CP866": ("cp866", ["\u043d\u043e\u0440\u043c\u0430", "\u043e\u043f\u0443\u0445\u043e\u043b\u044c"]),
}


@pytest.mark.parametrize("page", GUESSED)
def test_unmarked_names_are_read_by_the_code_page_that_fits_and_told(page: str) -> None:
    encoding, words = GUESSED[page]
    image_set = read_uploaded_files([("set.zip", io.BytesIO(unmarked(words, encoding)))])
    assert set(image_set.classes) == set(words)
    assert image_set.notes[0] == (f"6 names are not marked as UTF-8, check the class names: they were read as {page}.")


def test_unicode_field_counts_if_its_checksum_belongs_to_the_name() -> None:
    words = ["\u6b63\u5e38", "\u80f6\u8d28\u7624"]
    right = ZipSource(io.BytesIO(unmarked(words, "gbk", stated=True)))
    assert {name.split("/")[1] for name in right.names} == set(words)
    assert right.notes == []
    lying = ZipSource(io.BytesIO(unmarked(words, "gbk", stated=True, lies=True)))
    assert lying.notes == ["6 names are not marked as UTF-8, check the class names: they were read as GBK."]


def test_unicode_field_is_no_way_out_of_the_folder() -> None:
    raw = b"benign/0.png"
    field = struct.pack("<BL", 1, zlib.crc32(raw)) + b"../../etc/0.png"
    info = zipfile.ZipInfo("benign/0.png")
    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
    source = ZipSource(io.BytesIO(b.zip_bytes([(info, b.encoded(1))])))
    assert (source.names, [(p.file, p.problem) for p in source.problems]) == ([], [("../../etc/0.png", "unsafe_name")])


def test_backslashes_separate_folders_and_still_lead_nowhere_else() -> None:
    files = {name.replace("/", "\\"): content for name, content in b.parted_files().items()}
    bad = {"..\\x.png": b"", "\\\\host\\x.png": b"", "C:\\x.png": b"", "\\x.png": b""}
    members: list[tuple[str | zipfile.ZipInfo, bytes]] = [
        (b.member(name), content) for name, content in (files | bad).items()
    ]
    image_set = read_uploaded_files([("set.zip", io.BytesIO(b.zip_bytes(members)))])
    assert (image_set.classes, len(image_set.images)) == (("benign", "malignant"), 10)
    assert [(p.file, p.problem) for p in image_set.problems] == [(name, "unsafe_name") for name in bad]
