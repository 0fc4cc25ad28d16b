"""The zip guard: every hostile archive gets its sentence, and the good files stay."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UnreadableSource
from core.images.archive import RefusedFile, ZipSource, is_ignored, printable, safe_name
from core.images.image_set import ImageSet
from core.images.limits import Limits
from core.images.read import read_image_set, read_uploaded_files
from core.images.reading import UnusableImageSet
from tests.core.images import builders as b

GOOD = b.class_files(4)
SMALL = Limits(ratio_floor_bytes=10_000, max_file_bytes=2_000_000, max_total_bytes=20_000_000)
BMP = b.encoded(form="BMP")
ZEROS = bytes(1_000_000)


def upload(content: bytes, limits: Limits | None = None) -> ImageSet:
    return read_uploaded_files([("set.zip", io.BytesIO(content))], limits=limits)


def with_bad(name: str | zipfile.ZipInfo, content: bytes, first: bool = False) -> bytes:
    """The good files and one bad one."""
    good: list[tuple[str | zipfile.ZipInfo, bytes]] = list(GOOD.items())
    return b.zip_bytes([(name, content), *good] if first else [*good, (name, content)])


def truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def encrypted() -> bytes:
    return b.patch_flags(with_bad("benign/bad.png", b.encoded(99)), b"benign/bad.png", 1)


def damaged_member() -> bytes:
    raw = bytearray(b.zip_bytes({"benign/bad.png": b.encoded(77), **GOOD}, method=0))
    raw[200] ^= 0xFF
    return bytes(raw)


def understated_member() -> bytes:
    """Declares 10 bytes where a million come."""
    raw = bytearray(with_bad("benign/bad.png", ZEROS, first=True))
    raw[22:26] = (10).to_bytes(4, "little")
    at = raw.index(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(raw)


# name of the case: (archive, name shown, kind of problem, words of the sentence)
REFUSED_MEMBERS: dict[str, tuple[Callable[[], bytes], str, str, str]] = {
    "zip-slip": (lambda: with_bad(b.member("../../etc/bad.png"), BMP), "../../etc/bad.png", "unsafe_name", "'..'"),
    "zip-slip inside": (
        lambda: with_bad(b.member("benign/../../x.png"), BMP),
        "benign/../../x.png",
        "unsafe_name",
        "'..'",
    ),
    "zip-slip to a hidden file": (
        lambda: with_bad(b.member("../.ssh/authorized_keys"), b"k"),
        "../.ssh/authorized_keys",
        "unsafe_name",
        "'..'",
    ),
    "empty name": (lambda: with_bad(b.member(""), BMP), "", "unsafe_name", "an empty name"),
    "absolute": (lambda: with_bad(b.member("/etc/bad.png"), BMP), "/etc/bad.png", "unsafe_name", "absolute path"),
    "drive letter": (lambda: with_bad(b.member("C:/bad.png"), BMP), "C:/bad.png", "unsafe_name", "drive letter"),
    "UNC": (lambda: with_bad(b.member("\\\\host\\a\\bad.png"), BMP), "\\\\host\\a\\bad.png", "unsafe_name", "UNC"),
    "UNC slashes": (lambda: with_bad(b.member("//host/a/bad.png"), BMP), "//host/a/bad.png", "unsafe_name", "UNC"),
    "backslashes": (
        lambda: with_bad(b.member("benign\\..\\x.png"), BMP),
        "benign\\..\\x.png",
        "unsafe_name",
        "'..'",
    ),
    "NUL in name": (lambda: with_bad(b.member("benign/a\0.png"), BMP), "benign/a\ufffd.png", "unsafe_name", "control"),
    "newline in name": (
        lambda: with_bad(b.member("benign/a\n.png"), BMP),
        "benign/a\ufffd.png",
        "unsafe_name",
        "control",
    ),
    "reserved": (
        lambda: with_bad(b.member("benign/aux.png"), BMP),
        "benign/aux.png",
        "unsafe_name",
        "Windows reserves",
    ),
    "reserved folder": (lambda: with_bad(b.member("CON/a.png"), BMP), "CON/a.png", "unsafe_name", "Windows reserves"),
    "300-byte name": (
        lambda: with_bad("benign/" + "n" * 300 + ".png", BMP),
        printable("benign/" + "n" * 300 + ".png"),
        "unsafe_name",
        "304 bytes, more than 255",
    ),
    "symlink": (
        lambda: with_bad(b.member("benign/l.png", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        "benign/l.png",
        "symlink",
        "symbolic link",
    ),
    "device": (lambda: with_bad(b.member("benign/d.png", stat.S_IFCHR), b""), "benign/d.png", "special_file", "device"),
    "encrypted": (encrypted, "benign/bad.png", "encrypted", "encrypted"),
    "nested zip": (lambda: with_bad("benign/in.zip", b.zip_bytes(GOOD)), "benign/in.zip", "nested_archive", "(.zip)"),
    "nested tar.gz": (lambda: with_bad("benign/in.tar.gz", b"x"), "benign/in.tar.gz", "nested_archive", "(.gz)"),
    "zip named png": (lambda: with_bad("benign/z.png", b.zip_bytes(GOOD)), "benign/z.png", "polyglot", "ZIP archive"),
    "LZMA": (lambda: with_bad(b.member("benign/a.png", method=14), BMP), "benign/a.png", "compression", "another"),
    "duplicate": (lambda: with_bad("benign/0.png", BMP), "benign/0.png", "duplicate_name", "second file"),
    "case collision": (lambda: with_bad("benign/0.PNG", BMP), "benign/0.PNG", "case_collision", "'benign/0.png'"),
    "ratio bomb": (lambda: with_bad("benign/b.png", ZEROS), "benign/b.png", "bomb", "decompression bomb"),
    "too large": (
        lambda: b.zip_bytes([("benign/big.png", bytes(3_000_000)), *GOOD.items()], method=0),
        "benign/big.png",
        "too_large",
        "larger",
    ),
    "understated size": (understated_member, "benign/bad.png", "damaged", "damaged or cut-off"),
    "wrong checksum": (damaged_member, "benign/bad.png", "damaged", "damaged or cut-off"),
    "zero-byte": (lambda: with_bad("benign/e.png", b""), "benign/e.png", "unreadable_image", "empty file (0 bytes)"),
    "truncated PNG": (
        lambda: with_bad("benign/t.png", truncated(b.encoded(5))),
        "benign/t.png",
        "unreadable_image",
        "damaged or cut-off",
    ),
    "truncated JPEG": (
        lambda: with_bad("benign/t.jpg", truncated(b.encoded(5, "JPEG"))),
        "benign/t.jpg",
        "unreadable_image",
        "damaged or cut-off",
    ),
    "GIF named png": (lambda: with_bad("benign/g.png", b.encoded(6, "GIF")), "benign/g.png", "unreadable_image", "GIF"),
    "HTML named png": (
        lambda: with_bad("benign/h.png", b"<html><script>"),
        "benign/h.png",
        "unreadable_image",
        "markup",
    ),
    "SVG": (lambda: with_bad("benign/v.svg", b"<svg/>"), "benign/v.svg", "not_an_image", "'.svg'"),
    "program": (lambda: with_bad("benign/p.exe", b"MZ"), "benign/p.exe", "not_an_image", "'.exe'"),
    "no suffix": (lambda: with_bad("benign/scan", b"text"), "benign/scan", "not_an_image", "without a suffix"),
    "JPEG and ZIP": (
        lambda: with_bad("benign/j.jpg", b.encoded(6, "JPEG") + b.zip_bytes({"a.js": b"1"})),
        "benign/j.jpg",
        "polyglot",
        "ZIP archive as well",
    ),
    "pixel bomb": (
        lambda: with_bad("benign/h.png", b.png_of_size(50_000, 50_000)),
        "benign/h.png",
        "unreadable_image",
        "far more",
    ),
    "large picture": (
        lambda: with_bad("benign/h.png", b.png_of_size(12_000, 9_000)),
        "benign/h.png",
        "unreadable_image",
        "12,000 x 9,000",
    ),
    "image at the root": (lambda: with_bad("lost.png", b.encoded(8)), "lost.png", "misplaced", "elsewhere"),
    "text at the root": (lambda: with_bad("README.md", b"hi"), "README.md", "not_an_image", "'.md'"),
    "two pages": (
        lambda: with_bad(
            "benign/m.tif", b.encoded(1, "TIFF", save_all=True, append_images=[b.picture(2)], compression="raw")
        ),
        "benign/m.tif",
        "unreadable_image",
        "several pages",
    ),
}


@pytest.mark.parametrize("case", REFUSED_MEMBERS)
def test_bad_member_is_named_with_its_reason_and_the_good_ones_stay(case: str) -> None:
    make, name, kind, words = REFUSED_MEMBERS[case]
    image_set = upload(make(), SMALL)
    assert [(p.file, p.problem) for p in image_set.problems] == [(name, kind)]
    assert words in image_set.problems[0].found
    assert image_set.classes == ("benign", "malignant")
    assert len(image_set.images) == len(GOOD)


REFUSED_ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "overlapping members": (b.overlapping_zip, "found members that overlap, as in decompression bombs"),
    "a million empty entries": (lambda: b.many_empty_entries(1_000_000), "which means far too many entries"),
    "too many files": (lambda: b.zip_bytes({f"a/{n}.png": b"x" for n in range(31)}), "at most 30 files; found 31"),
    "total size": (
        lambda: b.zip_bytes([(f"a/{n}.bmp", b.encoded(n, "BMP", b.picture(n, (300, 300)))) for n in range(25)]),
        "at most 1 MB unpacked; found more",
    ),
    "not a zip": (lambda: b"hello" * 100, "A zip archive; found something else"),
    "empty file": (lambda: b"", "A zip archive; found something else"),
    "cut-off zip": (lambda: truncated(b.zip_bytes(GOOD)), "found a damaged or cut-off one"),
    "JPEG in front of a zip": (
        lambda: b.encoded(1, "JPEG") + b.zip_bytes(GOOD),
        "begins as something else and ends as a zip",
    ),
    "broken directory": (
        lambda: b.zip_bytes(GOOD).replace(b"PK\x01\x02", b"PK\x09\x09"),
        "found a damaged or cut-off one",
    ),
    "empty zip": (lambda: b.zip_bytes({}), "Folders train/<class>"),
    "no folders": (lambda: b.zip_bytes({"a.png": b.encoded()}), "Sort the images into one folder per class."),
    "colliding underscores": (
        lambda: b.zip_bytes({"a_b/1.png": b.encoded(9), "a b/1.png": b.encoded(8)}),
        "found one, 'a b'; 'a b' and 'a_b' were read as one class",
    ),
}


@pytest.mark.parametrize("case", REFUSED_ARCHIVES)
def test_archive_that_cannot_be_honest_is_refused_as_a_whole(case: str) -> None:
    make, words = REFUSED_ARCHIVES[case]
    limits = Limits(max_files=30, max_total_bytes=1024**2) if case in ("too many files", "total size") else None
    with pytest.raises(UnreadableSource) as refusal:
        upload(make(), limits)
    assert words in refusal.value.sentence


def test_set_without_a_usable_image_tells_every_problem() -> None:
    files = {"benign/1.png": b"", "malignant/1.png": b"<html>", "malignant/2.exe": b"MZ"}
    with pytest.raises(UnusableImageSet) as refusal:
        upload(b.zip_bytes(files))
    assert [p.file for p in refusal.value.problems] == ["malignant/2.exe", "benign/1.png", "malignant/1.png"]
    assert "found none; 3 files were refused, such as 'malignant/2.exe'" in refusal.value.sentence


def test_system_litter_is_ignored_silently() -> None:
    litter = {"__MACOSX/benign/._0.png": b"x", "benign/Thumbs.db": b"x", ".DS_Store": b"x", "benign/.hid.png": b"x"}
    image_set = upload(b.zip_bytes({**GOOD, **litter, "desktop.ini": b""}))
    assert image_set.problems == ()
    assert len(image_set.images) == 8


HIDDEN = {".lesion/0.png": b.encoded(90), ".lesion/deeper/1.JPG": b.encoded(91), "benign/.more/2.png": b.encoded(92)}
"""Pictures of folders which a person named."""
MADE_BY_PROGRAMS = (".git/0.png", ".thumbnails/large/0.png", ".Trash-1000/files/0.png", ".lesion/._0.png", "._x/0.png")
MADE_BY_PROGRAMS += (".lesion/notes.txt", ".ipynb_checkpoints/plot.png", "__MACOSX/.lesion/0.png", ".cache/a/.b/0.png")


@pytest.mark.parametrize("way", ["zip", "files", "folder"])
def test_a_folder_with_a_dot_in_front_is_named_among_what_was_left_out(way: str, tmp_path: Path) -> None:
    files = {**GOOD, **HIDDEN, **{name: b.encoded(93) for name in MADE_BY_PROGRAMS}}
    if way == "zip":
        found = upload(b.zip_bytes(files))
    elif way == "files":
        found = read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()])
    else:
        for name, content in files.items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        found = read_image_set(tmp_path)
    assert {(p.file, p.problem) for p in found.problems} == {
        (".lesion/", "hidden_folder"),
        ("benign/.more/", "hidden_folder"),
    }
    told = {p.file: p.found for p in found.problems}
    assert told[".lesion/"] == "found 2 images in this one, which is hidden and was left out"
    assert told["benign/.more/"].startswith("found 1 image in this one")
    assert len(found.images) == len(GOOD)


def test_a_hidden_folder_that_a_link_leads_to_is_not_left_out(tmp_path: Path) -> None:
    for name, content in {**GOOD, "a/.store/0.png": b.encoded(90), "a/.store/1.png": b.encoded(91)}.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (tmp_path / "lesion").symlink_to(tmp_path / "a" / ".store")
    found = read_image_set(tmp_path)
    assert "lesion" in found.classes
    assert found.problems == ()


def test_decomposed_and_cp437_names_become_readable_classes() -> None:
    nfd = {f"ne\u0301vus/{n}.png": b.encoded(n) for n in range(2)}
    flagless = zipfile.ZipFile(stream := io.BytesIO(), "w")
    with flagless:
        for name, content in nfd.items():
            flagless.writestr(name, content)
        for n in range(2):
            flagless.writestr(f"gut/{n}.png", b.encoded(10 + n))
    assert upload(stream.getvalue()).classes == ("gut", "n\u00e9vus")
    old = bytearray(b.zip_bytes({"n\u00e9vus/0.png": b.encoded(1), "n\u00e9vus/1.png": b.encoded(2), **GOOD}))
    old = bytearray(b.patch_flags(bytes(old), "n\u00e9vus/".encode(), 0))
    for at in (i for i in range(len(old)) if old[i : i + 4] in (b"PK\x03\x04", b"PK\x01\x02")):
        old[at + (7 if old[at + 2] == 3 else 9)] &= ~0x08 & 0xFF
    assert "n\u00e9vus" in upload(bytes(old)).classes
    cp437 = bytes(old).replace("n\u00e9vus".encode(), b"na\x81us.")
    assert "na\u00fcus." in upload(cp437).classes


def test_declared_sizes_are_not_needed_to_stop_a_bomb() -> None:
    source = ZipSource(io.BytesIO(b.zip_bytes({"a/b.png": bytes(5_000_000)})), SMALL)
    with pytest.raises(RefusedFile, match="at most 100 times its packed size"):
        source.read("a/b.png")
    assert source._read_bytes <= 2 * 1024**2


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=60))
def test_names_are_either_refused_or_stay_inside(raw: str) -> None:
    try:
        name = safe_name(raw)
    except RefusedFile:
        return
    assert not name.startswith("/")
    assert ".." not in name.split("/")
    assert "\\" not in name
    assert name.isprintable() or all(ord(c) >= 32 for c in name)
    assert safe_name(name) == name


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.sampled_from(["a", "..", ".", "", "C:", "con", "x.png", "\\"]), min_size=1, max_size=5))
def test_no_mix_of_parts_leaves_the_folder(parts: list[str]) -> None:
    raw = "/".join(parts)
    if ".." in parts or "\\" in raw or raw.startswith("/") or parts[0] == "C:" or "con" in parts:
        with pytest.raises(RefusedFile):
            safe_name(raw)


@settings(deadline=None)  # a busy machine is no fault
@given(st.binary(max_size=300))
def test_random_bytes_never_open_as_a_zip(content: bytes) -> None:
    with pytest.raises(UnreadableSource):
        ZipSource(io.BytesIO(b"PK\x03\x04" + content))


@settings(deadline=None, max_examples=60)  # a busy machine is no fault
@given(st.data())
def test_changed_bytes_end_in_a_sentence_or_in_images(data: st.DataObject) -> None:
    raw = bytearray(b.zip_bytes(GOOD))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            raw[at] = data.draw(st.integers(0, 255))
        else:
            del raw[at : at + data.draw(st.integers(1, 9))]
    try:
        assert upload(bytes(raw)).images
    except UnreadableSource as refusal:
        assert "; found" in refusal.sentence  # noqa: PT017


@pytest.mark.parametrize("name", [".DS_Store", "a/Thumbs.db", "__MACOSX/a.png", "a/.git/b", "Desktop.ini"])
def test_litter_is_known_by_name(name: str) -> None:
    assert is_ignored(name)
    assert not is_ignored("a/b.png")
