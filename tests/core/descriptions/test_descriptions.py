"""Templates, files and checks of class descriptions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.backbones.catalogue import CONFIG_FILE, EMBEDDED_FOLDER
from core.backbones.text_lengths import TextLengths
from core.backbones.tokenizer import Tokenizer
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import parse_descriptions, read_descriptions, write_descriptions
from core.descriptions.templates import FRAMES, class_template, template_descriptions
from core.errors import ClassMismatch, InvalidInput, NotFound, UnreadableSource

SET = DescriptionSet({"cyst": ("A cyst with a thin wall.", "A dark, round cyst."), "normal": ("A normal scan.",)}, "me")


def test_templates_name_modality_and_class_in_every_sentence() -> None:
    found = template_descriptions(("cyst",), modality="ultrasound scan")
    assert found.source == "templates"
    assert len(found.sentences["cyst"]) == len(FRAMES) == len(set(found.sentences["cyst"]))
    assert all("cyst" in text and "ultrasound scan" in text for text in found.sentences["cyst"])


def test_a_template_of_ones_own_replaces_the_built_in_ones() -> None:
    assert template_descriptions(("cyst",), template="a scan of a {}.").sentences == {"cyst": ("a scan of a cyst.",)}
    assert class_template("dermatoscopy", None) == "a dermatoscopy photo of a {}."
    assert class_template(None, None) is None


@pytest.mark.parametrize("template", ["no slot", "two {} slots {}", "a {name}", "an open { and {}"])
def test_a_template_without_exactly_one_slot_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput, match=r"A template is one sentence with \{\} where the class name goes"):
        class_template(None, template)


@pytest.mark.parametrize("name", ["texts.json", "texts.csv"])
def test_a_written_file_reads_back_equal(name: str, tmp_path: Path) -> None:
    write_descriptions(SET, tmp_path / name)
    found = read_descriptions(tmp_path / name)
    assert dict(found.sentences) == dict(SET.sentences)
    assert (found.source, found.fingerprint) == (f"file:{name}", SET.fingerprint)


def test_a_table_may_start_with_a_byte_order_mark_and_use_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("\ufeffClass,Sentence\r\ncyst,  A   cyst. \r\n".encode())
    assert read_descriptions(tmp_path / "t.csv").sentences == {"cyst": ("A cyst.",)}


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.json", "[1]", "JSON of another shape"),
        ("a.json", '{"cyst": "one"}', "JSON of another shape"),
        ("a.json", '{"cyst": [" "]}', "holds no sentence"),
        ("a.csv", "label,text\ncyst,x\n", "has the columns label, text"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_what_was_found(name: str, text: str, found: str) -> None:
    with pytest.raises(UnreadableSource, match=found):
        parse_descriptions(text, name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'none\.json' does not exist"):
        read_descriptions(tmp_path / "none.json")


def test_a_class_without_sentences_is_named() -> None:
    with pytest.raises(ClassMismatch, match="none for 'tumour'"):
        SET.for_classes(("cyst", "tumour"))
    assert list(SET.for_classes(("normal", "cyst")).sentences) == ["normal", "cyst"]


def test_lengths_are_counted_from_the_tokenizer_alone_as_the_backbone_counts_them() -> None:
    texts = ["A cyst is round.", "An  anechoic mass,\nwith posterior enhancement (BI-RADS 2).", "n\u00e6vus " * 90, ""]
    lengths = TextLengths("embedded")
    config = json.loads((EMBEDDED_FOLDER / CONFIG_FILE).read_text())["model_cfg"]["text_cfg"]
    assert lengths.count_tokens(texts) == Tokenizer(EMBEDDED_FOLDER, config).count(texts)
    assert lengths.context_length == 128


def test_too_long_sentences_are_found_without_loading_pytorch(tmp_path: Path) -> None:
    file = tmp_path / "d.json"
    file.write_text(json.dumps({"cyst": ["A cyst " + "round " * 150], "normal": ["A normal scan."]}))
    code = (
        "import sys; from app.cli import app\n"
        f"try: app(['descriptions', 'check', {str(file)!r}, '--json'])\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    _, first, summary = map(json.loads, done.stdout.splitlines())
    assert (first["class"], first["finding"]) == ("cyst", "too_long")
    assert first["detail"].startswith("155 tokens; the text tower of embedded reads 128 and loses 'round round")
    assert (summary["findings"], summary["ok"], done.returncode) == (2, True, 0)
    assert done.stderr.strip() == "False"
