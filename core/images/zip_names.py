"""File names in zips: marked as UTF-8, given in Info-ZIP's Unicode field, or in a code page that nobody states.

Without a mark the format says CP437, but packers write whatever their system uses. What the bytes show is taken: valid
UTF-8, else a western, Chinese, Korean, Cyrillic or Japanese code page in which all names come out as words. That is a
guess, so it is always told.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_HEADER_BYTES = 4


@dataclass(frozen=True)
class _CodePage:
    """codec: Python's name. is_word: whether a decoded name can be meant."""

    codec: str
    called: str
    is_word: Callable[[str], bool]


def sent_names(members: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str | None]:
    """The name of each member as its sender meant it, and a note where a code page had to be guessed."""
    known = [_stated_name(info) for info in members]
    unknown = [_raw_name(info) for info, name in zip(members, known, strict=True) if name is None]
    if not unknown:
        return [name or "" for name in known], None
    page = _guess(unknown)
    names = [
        name if name is not None else _raw_name(info).decode(page.codec)
        for info, name in zip(members, known, strict=True)
    ]
    return names, (
        f"{len(unknown)} names are not marked as UTF-8, check the class names: they were read as {page.called}."
    )


def _stated_name(info: zipfile.ZipInfo) -> str | None:
    """The name where the archive leaves no doubt about it, else None."""
    if info.flag_bits & _UTF8_FLAG or info.orig_filename.isascii():
        return _unicode_path(info) or info.orig_filename
    stated = _unicode_path(info)
    if stated is not None:
        return stated
    try:
        return _raw_name(info).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """The bytes in the archive; zipfile decodes unmarked ones as CP437, which loses nothing."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8_FLAG else "cp437", "surrogatepass")


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """The name in Info-ZIP's Unicode path field, if it belongs to the name in the header (its checksum says so)."""
    extra = info.extra
    while len(extra) >= _HEADER_BYTES:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            is_mine = int.from_bytes(field[1:5], "little") == zlib.crc32(_raw_name(info))
            try:
                return field[5:].decode("utf-8") if is_mine else None
            except UnicodeDecodeError:
                return None
    return None


def _guess(names: Sequence[bytes]) -> _CodePage:
    """The first code page in which every name is made of words; CP437 where none fits."""
    return next((page for page in _PAGES if _fits(page, names)), _PAGES[-1])


def _fits(page: _CodePage, names: Sequence[bytes]) -> bool:
    try:
        decoded = [name.decode(page.codec) for name in dict.fromkeys(names)]
    except UnicodeDecodeError:
        return False
    return all(page.is_word(run) for name in decoded for run in _RUNS.findall(name))


# A word with at least one letter beyond ASCII.
_RUNS = re.compile(r"[A-Za-z]*[^\x00-\x7f][A-Za-z\u0080-\U0010ffff]*")


def _is_latin(run: str) -> bool:
    """Western words have few letters with accents among plain ones."""
    accented = [c for c in run if not c.isascii()]
    if any(before.islower() and after.isupper() for before, after in itertools.pairwise(run)):
        return False
    return all("LATIN" in unicodedata.name(c, "") for c in accented) and 2 * len(accented) <= len(run) + 1


def _is_script(*scripts: str) -> Callable[[str], bool]:
    def is_word(run: str) -> bool:
        letters = [c for c in run if not c.isascii()]
        return len(letters) == len(run) and all(unicodedata.name(c, "").startswith(scripts) for c in letters)

    return is_word


_PAGES = (
    _CodePage("cp437", "CP437", _is_latin),
    _CodePage("cp850", "CP850", _is_latin),
    _CodePage("cp1252", "Windows-1252", _is_latin),
    _CodePage("euc_kr", "EUC-KR", _is_script("HANGUL")),
    _CodePage("gb2312", "GBK", _is_script("CJK UNIFIED")),
    _CodePage("cp866", "CP866", _is_script("CYRILLIC")),
    _CodePage("cp932", "Shift-JIS", _is_script("CJK UNIFIED", "HIRAGANA", "KATAKANA")),
    _CodePage("big5", "Big5", _is_script("CJK UNIFIED")),
    _CodePage("gbk", "GBK", _is_script("CJK UNIFIED")),
    _CodePage("cp1251", "Windows-1251", _is_script("CYRILLIC")),
    _CodePage("cp437", "CP437", lambda run: True),
)
