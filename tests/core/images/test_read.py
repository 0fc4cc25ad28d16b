"""The layouts people bring, and what is told about them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UnreadableSource
from core.images.check import check_images
from core.images.image_set import ImageSet
from core.images.limits import Limits
from core.images.masks import mask_path
from core.images.read import read_image_set, read_uploaded_files
from tests.core.images import builders as b


def parts(image_set: ImageSet) -> dict[str, tuple[int, int, int]]:
    return {name: (c["train"], c["val"], c["test"]) for name, c in image_set.counts().items()}


def uploaded(files: dict[str, bytes], **options: Any) -> ImageSet:
    return read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()], **options)


def test_folder_with_parts_stays_where_it_is(tmp_path: Path) -> None:
    val = {f"validation/{n}": c for n, c in b.class_files(1, start=900).items()}
    image_set = read_image_set(b.write_folder(tmp_path / "scans", b.parted_files() | val), modality="ultrasound")
    assert (image_set.name, image_set.modality, image_set.problems, image_set.notes) == ("scans", "ultrasound", (), ())
    assert parts(image_set) == {"benign": (3, 1, 2), "malignant": (3, 1, 2)}
    first = image_set.images[0]
    assert first.path == tmp_path / "scans" / "train" / "benign" / "0.png"
    assert (first.name, first.width, first.height) == ("train/benign/0.png", 24, 20)


def test_folder_and_its_zip_and_its_upload_have_one_fingerprint(tmp_path: Path) -> None:
    files = b.class_files(6)
    folder = read_image_set(b.write_folder(tmp_path / "a", files))
    (tmp_path / "a.zip").write_bytes(b.zip_bytes(files))
    zipped = read_image_set(tmp_path / "a.zip", store_dir=tmp_path / "store")
    wrapped = uploaded({f"any name/{name}": content for name, content in reversed(files.items())})
    assert folder.fingerprint == zipped.fingerprint == wrapped.fingerprint
    assert wrapped.name == "any name"
    for image in zipped.images:
        assert image.path == tmp_path / "store" / image.sha256[:2] / f"{image.sha256}.png"


def test_renaming_and_reordering_files_keeps_the_fingerprint_but_a_label_does_not(tmp_path: Path) -> None:
    files = b.parted_files()
    renamed = {name.replace(".png", f"{9 - k % 7}.png"): files[name] for k, name in enumerate(files)}
    moved = dict(files)
    moved["train/malignant/9.png"] = moved.pop("train/benign/0.png")
    first, second, third = (
        read_image_set(b.write_folder(tmp_path / str(k), f)) for k, f in enumerate((files, renamed, moved))
    )
    assert first.fingerprint == second.fingerprint != third.fingerprint


def test_class_folders_get_a_held_out_test_part_and_a_note(tmp_path: Path) -> None:
    folder = b.write_folder(tmp_path, b.class_files(10))
    image_set = read_image_set(folder)
    assert parts(image_set) == {"benign": (7, 0, 3), "malignant": (7, 0, 3)}
    assert image_set.notes == (
        "No test part was given: 6 of 20 images, 30% of each class, were held out by image (no groups are known) "
        "with seed 0.",
    )
    tests = {i.name for i in image_set.part("test")}
    assert tests == {i.name for i in read_image_set(folder).part("test")}
    assert tests != {i.name for i in read_image_set(folder, seed=1).part("test")}
    assert parts(read_image_set(folder, hold_out=0.5)) == {"benign": (5, 0, 5), "malignant": (5, 0, 5)}


def test_training_part_without_a_test_part_is_split_as_well() -> None:
    image_set = uploaded({f"Training/{name}": content for name, content in b.class_files(4).items()})
    assert parts(image_set) == {"benign": (3, 0, 1), "malignant": (3, 0, 1)}


def test_classes_are_in_natural_order_and_underscores_are_spaces(tmp_path: Path) -> None:
    files = b.class_files(2, ("grade_10", "grade_2", "Grade_1"))
    assert read_image_set(b.write_folder(tmp_path, files)).classes == ("Grade 1", "grade 2", "grade 10")


def test_class_without_training_images_is_left_out_and_told() -> None:
    files = b.parted_files() | {"test/cyst/0.png": b.encoded(44)}
    image_set = uploaded(files)
    assert image_set.classes == ("benign", "malignant")
    assert [(p.file, p.problem) for p in image_set.problems] == [("test/cyst/0.png", "untrained_class")]
    assert image_set.notes[-1] == "Left out, because no training image could be used: 'cyst'."


def test_one_class_is_refused_with_a_sentence() -> None:
    with pytest.raises(UnreadableSource, match="two classes with readable training images; found one, 'benign'"):
        uploaded(b.class_files(3, ("benign",)))


MANIFEST = (
    "\ufeffPath,label,split,group\r\n"
    "a/0.png,malignant,train,p1\n"
    "a/1.png,malignant,test,p2\r"
    "a\\2.png,benign tumour,train,p3\r\n"
    "a/3.png,benign tumour,TEST,p4\n"
)
PICTURES = {f"a/{n}.png": b.encoded(n) for n in range(8)}


def test_a_class_that_was_read_as_masks_is_told_where_one_class_remains() -> None:
    files = {f"{folder}/{n}.png": b.encoded(n) for folder in ("normal", "Masks") for n in range(1, 5)}
    with pytest.raises(UnreadableSource, match="found one, 'normal'; 4 masks were found; they are no training images"):
        uploaded(files)


def test_manifest_gives_classes_by_first_appearance_parts_and_groups(tmp_path: Path) -> None:
    b.write_folder(tmp_path, PICTURES | {"m.csv": MANIFEST.encode()})
    image_set = read_image_set(tmp_path / "m.csv")
    assert image_set.classes == ("malignant", "benign tumour")
    assert [(i.name, i.label, i.part, i.group) for i in image_set.images] == [
        ("a/0.png", 0, "train", "p1"),
        ("a/1.png", 0, "test", "p2"),
        ("a/2.png", 1, "train", "p3"),
        ("a/3.png", 1, "test", "p4"),
    ]
    assert image_set.images[0].path == tmp_path / "a" / "0.png"
    assert image_set.problems == ()


def test_manifest_works_inside_a_zip_beside_a_zip_and_in_a_folder(tmp_path: Path) -> None:
    inside = uploaded({"s.zip": b.zip_bytes(PICTURES | {"manifest.csv": MANIFEST.encode()})})
    wrapped = {f"top/{name}": content for name, content in PICTURES.items()}
    beside = uploaded({"s.zip": b.zip_bytes(wrapped), "list.csv": MANIFEST.encode()})
    within = uploaded({"s.zip": b.zip_bytes(wrapped | {"top/m.csv": MANIFEST.encode()})})
    folder = read_image_set(b.write_folder(tmp_path, PICTURES | {"any.csv": MANIFEST.encode()}))
    assert inside.fingerprint == beside.fingerprint == within.fingerprint == folder.fingerprint
    assert inside.notes == ("Classes and parts come from 'manifest.csv'.",)


BAD_ROWS: dict[str, tuple[str, str, str, str]] = {
    "missing file": ("b/9.png,x,train,", "b/9.png", "missing_file", "found none"),
    "unknown split": ("a/4.png,x,holdout,", "m.csv, row 6", "unknown_split", "found 'holdout'"),
    "no split": ("a/4.png,x,,", "m.csv, row 6", "unknown_split", "found ''"),
    "no label": ("a/4.png,,train,", "m.csv, row 6", "missing_cell", "found no label"),
    "short row": ("a/4.png", "m.csv, row 6", "missing_cell", "found no label"),
    "formula": ("=cmd|'/C calc'!A0,x,train,", "m.csv, row 6", "formula", "column 'path'"),
    "formula in label": ("a/4.png,+SUM(1),train,", "m.csv, row 6", "formula", "column 'label'"),
    "formula in group": ("a/4.png,x,train,@x", "m.csv, row 6", "formula", "column 'group'"),
    "leaves the folder": ("../4.png,x,train,", "m.csv, row 6", "unsafe_name", "'..'"),
    "absolute": ("/etc/passwd,x,train,", "m.csv, row 6", "unsafe_name", "absolute"),
    "drive": ("C:\\a.png,x,train,", "m.csv, row 6", "unsafe_name", "drive letter"),
    "listed twice": ("a/0.png,malignant,train,p1", "a/0.png", "duplicate_name", "listed again"),
    "listed with two labels": ("a/0.png,benign tumour,train,", "a/0.png", "duplicate_name", "another label"),
    "not an image": ("m.csv,malignant,train,", "m.csv", "not_an_image", "'.csv'"),
    "endless label": (f"a/4.png,{'x' * 300},train,", "m.csv, row 6", "bad_label", "found 'xxx"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_manifest_row_is_named_and_the_others_stay(case: str, tmp_path: Path) -> None:
    row, file, kind, words = BAD_ROWS[case]
    b.write_folder(tmp_path, PICTURES | {"m.csv": (MANIFEST + row + "\n").encode()})
    image_set = read_image_set(tmp_path / "m.csv")
    assert [(p.file, p.problem) for p in image_set.problems] == [(file, kind)]
    assert words in image_set.problems[0].found
    assert len(image_set.images) == 4


BAD_MANIFESTS: dict[str, tuple[bytes, str]] = {
    "no label column": (b"path,remark\na/0.png,x\n", "'m.csv' has no column label (columns found: path, remark)"),
    "no columns": (b"", "has no column path and no column label"),
    "other encoding": ("path,label\na/0.png,\u6b63\u5e38\n".encode("gbk"), "Save it as 'CSV UTF-8'"),
    "binary": (b"path,label\x00\n", "found binary content"),
    "colliding labels": (
        b"path,label\na/0.png,Benign\na/1.png,benign\n",
        "'Benign' and 'benign' were read as one class, 'Benign'",
    ),
    "endless cell": (b"path,label\na/0.png," + b"x" * 200_000, "A well-formed CSV file; line 2"),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_manifest_that_cannot_be_used_says_why(case: str, tmp_path: Path) -> None:
    content, words = BAD_MANIFESTS[case]
    b.write_folder(tmp_path, PICTURES | {"m.csv": content})
    with pytest.raises(UnreadableSource) as refusal:
        read_image_set(tmp_path / "m.csv")
    assert words in refusal.value.sentence


def test_manifest_of_numbers_is_ordered_by_number() -> None:
    rows = "".join(f"a/{n}.png;{label}\n" for n, label in enumerate([10, 2, 10, 2]))
    image_set = uploaded({"s.zip": b.zip_bytes(PICTURES), "m.csv": b"file;class\n" + rows.encode()})
    assert image_set.classes == ("class 2", "class 10")
    assert parts(image_set) == {"class 2": (1, 0, 1), "class 10": (1, 0, 1)}


def test_held_out_part_never_shares_a_patient() -> None:
    rows = "".join(f"a/{n}.png,{'xy'[n % 2]},p{n // 2 % 4}\n" for n in range(16))
    pictures = {f"a/{n}.png": b.encoded(n) for n in range(16)}
    image_set = uploaded({"s.zip": b.zip_bytes(pictures), "m.csv": b"path,label,patient_id\n" + rows.encode()})
    groups = {part: {i.group for i in image_set.part(part)} for part in ("train", "test")}  # type: ignore[arg-type]
    assert not groups["train"] & groups["test"]
    assert parts(image_set) == {"x": (6, 0, 2), "y": (6, 0, 2)}
    assert "held out by group with seed 0" in image_set.notes[-1]


def split_file() -> bytes:
    return json.dumps(
        {
            "train": [["b/1.png", 1, "normal_brain"], ["a/0.png", 0, "glioma"]],
            "val": [["a/1.png", 0, "glioma"]],
            "test": [["b/2.png", 1, "normal_brain"], ["a/2.png", 0, "glioma"]],
        }
    ).encode()


@pytest.mark.parametrize("base", ["", "BTMRI/", "images/"])
def test_split_file_gives_classes_by_label_and_finds_its_images(base: str, tmp_path: Path) -> None:
    pictures = {f"{base}{c}/{n}.png": b.encoded(n + 10 * k) for k, c in enumerate("ab") for n in range(3)}
    b.write_folder(tmp_path, pictures | {"split_x.json": split_file()})
    image_set = read_image_set(tmp_path / "split_x.json")
    assert image_set.classes == ("glioma", "normal brain")
    assert [(i.name, i.label, i.part) for i in image_set.images] == [
        ("b/1.png", 1, "train"),
        ("a/0.png", 0, "train"),
        ("a/1.png", 0, "val"),
        ("b/2.png", 1, "test"),
        ("a/2.png", 0, "test"),
    ]
    zipped = uploaded({"s.zip": b.zip_bytes(pictures | {"split_x.json": split_file()})})
    assert zipped.fingerprint == image_set.fingerprint == read_image_set(tmp_path).fingerprint


def test_bad_split_rows_are_named_and_other_shapes_refused(tmp_path: Path) -> None:
    table = json.loads(split_file())
    table["train"] += [["a/0.png"], ["../x.png", 0, "glioma"], ["a/none.png", 0, "glioma"], [1, True, None]]
    pictures = {f"{c}/{n}.png": b.encoded(n + 10 * k) for k, c in enumerate("ab") for n in range(3)}
    b.write_folder(tmp_path, pictures | {"split_x.json": json.dumps(table).encode()})
    image_set = read_image_set(tmp_path / "split_x.json")
    assert [(p.file, p.problem) for p in image_set.problems] == [
        ("split_x.json, train row 3", "bad_row"),
        ("split_x.json, train row 4", "unsafe_name"),
        ("split_x.json, train row 6", "bad_row"),
        ("a/none.png", "missing_file"),
    ]
    for content in (b"[1]", b"{", b'{"train": 3}', b"[" * 100_000):
        (tmp_path / "split_x.json").write_bytes(content)
        with pytest.raises(UnreadableSource, match="plit file"):
            read_image_set(tmp_path / "split_x.json")


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def medmnist(channels: int | None = None) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for part, n in (("train", 6), ("val", 4), ("test", 4)):
        shape = (n, 28, 28) if channels is None else (n, 28, 28, channels)
        arrays[f"{part}_images"] = draw.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(n, dtype=np.uint8).reshape(n, 1) % 2
    return arrays


@pytest.mark.parametrize("channels", [None, 3])
def test_medmnist_archive_is_read_row_by_row(channels: int | None, tmp_path: Path) -> None:
    arrays = medmnist(channels)
    image_set = read_image_set(npz(tmp_path / "breastmnist.npz", **arrays))
    assert parts(image_set) == {"class 0": (3, 2, 2), "class 1": (3, 2, 2)}
    assert "'breastmnist.json' beside it would give them" in image_set.notes[0]
    from core.images.decode import decode_image

    second = np.asarray(decode_image(image_set.part("val")[1].path))
    assert np.array_equal(second if channels else second[..., 0], arrays["val_images"][1])
    (tmp_path / "breastmnist.json").write_text('{"0": "malignant", "1": "normal, benign"}')
    assert read_image_set(tmp_path / "breastmnist.npz").classes == ("malignant", "normal, benign")


def test_cut_or_changed_medmnist_archives_are_refused_with_a_sentence(tmp_path: Path) -> None:
    content = npz(tmp_path / "x.npz", **medmnist()).read_bytes()
    for at in range(0, 3000, 37):
        changed = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        try:
            assert len(uploaded({"x.npz": changed}).images) == 14
        except UnreadableSource as refusal:
            assert refusal.expected  # noqa: PT017
    with pytest.raises(UnreadableSource, match="A whole zip archive; found a damaged or cut-off one"):
        uploaded({"x.npz": content[:-100]})


def test_uploaded_medmnist_archive_never_looks_for_names_on_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = npz(tmp_path / "x.npz", **medmnist()).read_bytes()
    (tmp_path / "x.json").write_text('["a", "b"]')
    monkeypatch.chdir(tmp_path)
    image_set = uploaded({"x.npz": content})
    assert image_set.classes == ("class 0", "class 1")
    assert image_set.notes == ("The file has no class names; a file of names sent with it gives them.",)


def large_medmnist(rare: int = 9) -> dict[str, np.ndarray]:
    """3,000 training and 600 test images; class 2 has few."""
    draw = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 3000), ("test", 600)):
        labels = np.arange(n) % 2
        labels[:rare] = 2
        arrays[f"{part}_images"] = draw.integers(0, 256, (n, 12, 12), dtype=np.uint8)
        arrays[f"{part}_labels"] = labels.astype(np.uint8).reshape(n, 1)
    return arrays


def test_an_archive_of_more_images_than_a_set_holds_gives_some_of_each_class(tmp_path: Path) -> None:
    arrays, limits = large_medmnist(), Limits(max_files=400)
    path = npz(tmp_path / "x.npz", **arrays)
    first = read_image_set(path, limits=limits)
    assert parts(first) == {"class 0": (139, 0, 51), "class 1": (139, 0, 51), "class 2": (9, 0, 9)}
    assert (
        "The file has 3,600 images, more than a set holds, so that some of each class were drawn with seed 0:"
        in (first.notes[1])
    )
    assert first.fingerprint == read_image_set(path, limits=limits).fingerprint
    assert first.fingerprint != read_image_set(path, limits=limits, seed=1).fingerprint
    from core.images.decode import decode_image

    for image in first.part("test")[::20]:
        row = int(Path(image.name).stem)
        assert arrays["test_labels"][row, 0] == image.label
        assert np.array_equal(np.asarray(decode_image(image.path))[..., 0], arrays["test_images"][row])


def test_images_that_would_fill_the_disk_are_drawn_from_by_their_size(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", **large_medmnist())
    limits = Limits(max_total_bytes=300_000, max_drawn_bytes=150 * 144)
    assert 100 < len(read_image_set(path, limits=limits).images) <= 150


def test_an_archive_that_only_a_bomb_packs_so_small_is_refused(tmp_path: Path) -> None:
    images = np.zeros((20_000, 28, 28), np.uint8)
    path = npz(tmp_path / "x.npz", train_images=images, train_labels=np.arange(20_000).reshape(-1, 1) % 2)
    with pytest.raises(UnreadableSource, match="'train_images' is a decompression bomb"):
        read_image_set(path, limits=Limits(ratio_floor_bytes=1024))


NAMES = {
    "a list": ("n.json", '["malignant", "normal, benign"]'),
    "an object": ("n.json", '{"1": "normal, benign", "0": "malignant"}'),
    "as MedMNIST publishes it": ("n.json", '{"task": "binary", "label": {"0": "malignant", "1": "normal, benign"}}'),
    "all of MedMNIST": ("x.json", '{"x": {"label": {"0": "malignant", "1": "normal, benign"}}, "y": {"label": {}}}'),
    "lines": ("n.txt", "malignant\nnormal, benign\n"),
    "a table": ("n.csv", 'label,name\n0,malignant\n1,"normal, benign"\n'),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_of_classes_may_be_sent_with_an_npz_or_lie_beside_it(case: str, tmp_path: Path) -> None:
    name, text = NAMES[case]
    path = npz(tmp_path / "x.npz", **medmnist())
    sent = uploaded({name: text.encode(), "x.npz": path.read_bytes()})
    assert (sent.name, sent.classes, sent.notes) == ("x", ("malignant", "normal, benign"), ())
    path.with_suffix(Path(name).suffix).write_text(text)
    assert read_image_set(path).classes == sent.classes


def test_names_of_labels_that_no_image_has_are_told(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", **medmnist())
    path.with_suffix(".json").write_text('["malignant", "benign", "unsure"]')
    found = read_image_set(path)
    assert found.classes == ("malignant", "benign")
    assert found.notes == ("Names of labels that no image has were left out: 'unsure'.",)


BAD_NAMES = {
    "no JSON": ("n.json", "{", "'n.json' is not JSON"),
    "another shape": ("n.json", '{"a": 1}', "'n.json' has another shape"),
    "a name is missing": ("n.json", '["malignant"]', "A class name for each label; found none for label 1"),
    "another file": ("n.pdf", "", "with a file of its class names (.json, .txt or .csv); found 'n.pdf'"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_bad_names_of_classes_are_told(case: str, tmp_path: Path) -> None:
    name, text, words = BAD_NAMES[case]
    content = npz(tmp_path / "x.npz", **medmnist()).read_bytes()
    with pytest.raises(UnreadableSource) as refusal:
        uploaded({"x.npz": content, name: text.encode()})
    assert words in refusal.value.sentence


def test_other_npz_files_are_refused(tmp_path: Path) -> None:
    good = medmnist()
    objects = np.array([{}], dtype=object)
    cases = {
        "found a.npy": {"a": np.zeros(3)},
        "found no 'train_labels'": {"train_images": good["train_images"]},
        "float64 values": good | {"train_images": good["train_images"] / 255},
        "shape (6, 28, 28, 28)": good | {"train_images": np.zeros((6, 28, 28, 28), np.uint8)},
        "shape (6, 14)": good | {"train_labels": np.zeros((6, 14), np.uint8)},
        "Python objects, which are never loaded": good | {"train_labels": objects},
    }
    for words, arrays in cases.items():
        with pytest.raises(UnreadableSource) as refusal:
            read_image_set(npz(tmp_path / "x.npz", **arrays))
        assert words in refusal.value.sentence


def test_masks_are_kept_beside_images_and_never_trained_on(tmp_path: Path) -> None:
    files = b.parted_files() | {"masks/train/benign/0.png": b.encoded(1, image=b.picture(5))}
    files |= {"train/malignant/1_mask.png": b.encoded(2), "train/malignant/1_mask_1.png": b.encoded(3)}
    folder = read_image_set(b.write_folder(tmp_path / "f", files))
    assert parts(folder) == {"benign": (3, 0, 2), "malignant": (3, 0, 2)}
    assert folder.notes == ("3 masks were found; they are no training images.",)
    masked = {i.name: mask_path(i) for i in folder.images if mask_path(i)}
    assert masked == {
        "train/benign/0.png": tmp_path / "f" / "masks" / "train" / "benign" / "0.png",
        "train/malignant/1.png": tmp_path / "f" / "train" / "malignant" / "1_mask.png",
    }
    stored = uploaded({f"top/{n}": c for n, c in files.items()}, store_dir=tmp_path / "s")
    assert {i.name for i in stored.images if mask_path(i)} == set(masked)


def test_broken_mask_is_told_and_its_image_stays() -> None:
    files = b.parted_files() | {"masks/train/benign/0.png": b"broken", "masks/train/benign/1.png": b""}
    image_set = uploaded(files)
    assert [(p.file, p.problem) for p in image_set.problems] == [
        ("train/benign/0.png", "unreadable_mask"),
        ("train/benign/1.png", "unreadable_mask"),
    ]
    assert len(image_set.images) == 10


def test_manifest_in_a_zip_keeps_its_masks(tmp_path: Path) -> None:
    files = PICTURES | {"manifest.csv": MANIFEST.encode(), "masks/a/2.png": b.encoded(image=b.picture(5))}
    image_set = uploaded({"s.zip": b.zip_bytes(files)}, store_dir=tmp_path)
    assert [i.name for i in image_set.images if mask_path(i)] == ["a/2.png"]


def test_mask_of_another_size_is_a_problem() -> None:
    files = b.parted_files() | {"masks/train/benign/0.png": b.encoded(image=b.picture(5, (9, 9)))}
    assert [(p.file, p.problem) for p in uploaded(files).problems] == [("train/benign/0.png", "mask_size")]


def test_upload_reports_every_unreadable_file_and_keeps_the_rest() -> None:
    bad = {"train/benign/e.png": b"", "train/benign/x.zip": b"PK", "../up.png": b.encoded(), "train/benign/t.txt": b"t"}
    image_set = uploaded(b.parted_files() | bad)
    assert {p.file: p.problem for p in image_set.problems} == {
        "train/benign/e.png": "unreadable_image",
        "train/benign/x.zip": "nested_archive",
        "../up.png": "unsafe_name",
        "train/benign/t.txt": "not_an_image",
    }
    assert len(image_set.images) == 10


def test_upload_limits_are_told() -> None:
    with pytest.raises(UnreadableSource, match="An upload of at most 3 files; found 10"):
        uploaded(b.parted_files(), limits=Limits(max_files=3))
    with pytest.raises(UnreadableSource, match="An upload of at most 1 kB; found more"):
        uploaded(b.parted_files(), limits=Limits(max_total_bytes=1024))
    with pytest.raises(UnreadableSource, match="found no file"):
        uploaded({})


def test_missing_paths_and_other_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="An existing folder or file; found nothing at"):
        read_image_set(tmp_path / "none")
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(UnreadableSource, match="A zip archive; found something else"):
        read_image_set(tmp_path / "a.tar.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableSource, match="Sort the images into one folder per class"):
        read_image_set(tmp_path / "empty")


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    b.write_folder(tmp_path / "real", b.parted_files())
    (tmp_path / "set").mkdir()
    for part in ("train", "test"):
        (tmp_path / "set" / part).symlink_to(tmp_path / "real" / part)
    (tmp_path / "real" / "train" / "loop").symlink_to(tmp_path / "set")
    assert parts(read_image_set(tmp_path / "set")) == {"benign": (3, 0, 2), "malignant": (3, 0, 2)}


def test_check_gives_problems_then_a_summary(tmp_path: Path) -> None:
    files = b.parted_files() | {"train/benign/e.png": b""}
    problems, summary = check_images(b.write_folder(tmp_path / "a", files))
    assert [p.file for p in problems] == ["train/benign/e.png"]
    assert summary == {
        "usable": 10,
        "classes": ["benign", "malignant"],
        "train": 6,
        "val": 0,
        "test": 4,
        "problems": 1,
        "leaks": 0,
        "near_duplicates": 0,
        "findings": 0,
        "notes": [],
        "ok": True,
    }


def test_check_is_not_ok_with_a_leak_or_without_images(tmp_path: Path) -> None:
    files = b.parted_files()
    files["test/benign/9.png"] = files["train/benign/0.png"]
    problems, summary = check_images(b.write_folder(tmp_path / "a", files))
    assert ([p.problem for p in problems], summary["leaks"], summary["ok"]) == (["same_bytes"], 1, False)
    problems, summary = check_images(b.write_folder(tmp_path / "b", {"x/1.png": b"", "y/1.png": b"no"}))
    assert [p.file for p in problems] == ["x/1.png", "y/1.png", "b"]
    assert (summary["usable"], summary["ok"], summary["problems"]) == (0, False, 3)
