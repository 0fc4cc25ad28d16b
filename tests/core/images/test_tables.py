"""Public tables as they are distributed: which column is what, which file a row means, and what is told."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidOption, UnreadableSource
from core.images.check import check_images
from core.images.columns import ColumnChoice
from core.images.image_set import ImageSet
from core.images.masks import mask_path
from core.images.read import read_image_set, read_uploaded_files
from core.images.recognition import recognise
from tests.core.images import builders as b

Files = dict[str, bytes]


def table(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def pictures(names: Sequence[str], suffix: str = ".png") -> Files:
    return {f"{name}{suffix}": b.encoded(n) for n, name in enumerate(names)}


def labels(found: ImageSet) -> dict[str, str]:
    """{file stem: class}."""
    return {Path(image.name).stem: found.classes[image.label] for image in found.images}


def sides(found: ImageSet) -> tuple[set[str | None], set[str | None]]:
    """Groups seen in training or validation, and groups in test."""
    seen = {image.group for image in found.images if image.part != "test"}
    return seen, {image.group for image in found.part("test")}


def ham10000() -> Files:
    """Two folders of images with one table, three images of each lesion, ids without suffix."""
    rows, files = [], {}
    for n in range(36):
        dx = ("nv", "mel", "bkl")[n // 12]
        rows.append(f"HAM_{n // 3:07d},ISIC_{24306 + n:07d},{dx},histo,{40 + n}.0,male,scalp")
        files[f"HAM10000_images_part_{1 + n % 2}/ISIC_{24306 + n:07d}.png"] = b.encoded(n)
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    return files | {"HAM10000_metadata.csv": table(head, *rows)}


def as_folder(files: Files, folder: Path) -> ImageSet:
    return read_image_set(b.write_folder(folder / "set", files), store_dir=folder / "store")


def as_zip(files: Files, folder: Path) -> ImageSet:
    (folder / "set.zip").write_bytes(b.zip_bytes({f"set/{name}": content for name, content in files.items()}))
    return read_image_set(folder / "set.zip", store_dir=folder / "store")


def as_table(files: Files, folder: Path) -> ImageSet:
    b.write_folder(folder / "set", files)
    return read_image_set(next((folder / "set").glob("*.csv")), "set", store_dir=folder / "store")


def as_upload(files: Files, folder: Path) -> ImageSet:
    return read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()], "set")


def as_zip_and_table(files: Files, folder: Path) -> ImageSet:
    archive = b.zip_bytes({name: content for name, content in files.items() if not name.endswith(".csv")})
    listing = next(content for name, content in files.items() if name.endswith(".csv"))
    return read_uploaded_files([("s.zip", io.BytesIO(archive)), ("t.csv", io.BytesIO(listing))], "set")


WAYS = [as_folder, as_zip, as_table, as_upload, as_zip_and_table]


@pytest.mark.parametrize("way", WAYS)
def test_ham10000_is_read_by_its_table_and_grouped_by_lesion(
    way: Callable[[Files, Path], ImageSet], tmp_path: Path
) -> None:
    found = way(ham10000(), tmp_path)
    assert found.classes == ("nv", "mel", "bkl")
    assert [len(found.part(part)) for part in ("train", "val", "test")] == [27, 0, 9]
    assert "Images are grouped by lesion_id: 12 groups." in found.notes
    assert "Its column image_id names the files, dx the classes." in found.notes
    assert found.extra == {"grouped_by": "lesion_id"}
    seen, tested = sides(found)
    assert not seen & tested
    assert len(seen | tested) == 12
    assert found.problems == ()


@pytest.mark.parametrize("top", ["HAM10000_seg", "gt", "archive/ISIC_with_GT"])
def test_a_folder_that_holds_everything_says_nothing_of_masks(top: str, tmp_path: Path) -> None:
    for n, (folder, name) in enumerate((("bare", "HAM10000_metadata"), ("tab", "HAM10000_metadata.tab"))):
        files = {name if key.endswith(".csv") else key: content for key, content in ham10000().items()}
        (tmp_path / folder).mkdir()
        wrapped = b.zip_bytes({f"{top}/{key}": content for key, content in files.items()})
        (tmp_path / folder / "set.zip").write_bytes(wrapped)
        found = read_image_set(tmp_path / folder / "set.zip", store_dir=tmp_path / "store")
        assert found.classes == ("nv", "mel", "bkl"), n
        assert len(found.images) == 36
        assert found.extra == {"grouped_by": "lesion_id"}


def test_masks_beside_a_folder_of_images_with_their_table_are_no_images(tmp_path: Path) -> None:
    rows = [f"{n}.png,{'ab'[n % 2]}" for n in range(8)]
    files = pictures([f"{folder}/{n}" for folder in ("images", "masks") for n in range(8)])
    found = as_zip(files | {"images/labels.csv": table("file,label", *rows)}, tmp_path)
    assert (len(found.images), found.problems) == (8, ())
    assert all(mask_path(image) for image in found.images)


def test_parts_that_each_count_from_one_are_told_apart_by_table_and_folder(tmp_path: Path) -> None:
    files, top = {}, "B. Disease Grading"
    for k, (part, word, count) in enumerate((("a. Training Set", "Training", 8), ("b. Testing Set", "Testing", 4))):
        names = [f"IDRiD_{n:03d}" for n in range(count)]
        files |= {f"{top}/1. Original Images/{part}/{name}.png": b.encoded(50 * k + n) for n, name in enumerate(names)}
        rows = [f"{name},{n % 2},1" for n, name in enumerate(names)]
        files[f"{top}/2. Groundtruths/IDRiD_{word} Labels.csv"] = table("Image name,Retinopathy grade,Risk", *rows)
    found = as_folder(files, tmp_path)
    assert found.classes == ("class 0", "class 1")
    assert [len(found.part(part)) for part in ("train", "val", "test")] == [8, 0, 4]
    assert found.problems == ()


def test_a_column_called_like_a_folder_is_a_column(tmp_path: Path) -> None:
    rows = [f"image/{n}.png,{'ab'[n % 2]},{n // 3}" for n in range(8)]
    found = as_zip(pictures([f"image/{n}" for n in range(8)]) | {"t.csv": table("image,label,set", *rows)}, tmp_path)
    assert found.classes == ("a", "b")
    assert "Its column image names the files, label the classes." in found.notes


def test_remark_in_a_column_name_does_not_hide_it(tmp_path: Path) -> None:
    rows = [f"train_{n}, P{n // 3}, {('benign', 'malignant')[n % 2]}" for n in range(12)]
    files = pictures([f"train_{n}" for n in range(12)])
    found = as_folder(files | {"Grade.csv": table("name, patient ID (anonymous), grade (GlaS)", *rows)}, tmp_path)
    assert found.classes == ("benign", "malignant")
    assert found.extra == {"grouped_by": "patient ID (anonymous)"}


UNUSED = {
    "other paths": ("file,class", "/content/drive/x{n}.png,{c}", "utf-8", "names a file that is here, first '/content"),
    "another encoding": ("path,label", "i/{n}.png,\u7624{c}\u6b63\u5e38", "gbk", "found another encoding in 't.csv'"),
    "no class": ("path,age", "i/{n}.png,4{n}", "utf-8", "it has no column label (columns found: path, age)"),
}


@pytest.mark.parametrize("case", UNUSED)
def test_one_folder_of_images_tells_why_its_table_was_not_used(case: str, tmp_path: Path) -> None:
    header, row, encoding, words = UNUSED[case]
    lines = "\n".join([header, *(row.format(n=n, c="ab"[n % 2]) for n in range(8))])
    files = pictures([f"scans/{n}" for n in range(8)] if "other" in case else [f"i/{n}" for n in range(8)])
    with pytest.raises(UnreadableSource) as refusal:
        as_folder(files | {"t.csv": lines.encode(encoding)}, tmp_path)
    assert words in refusal.value.found


def test_notes_of_several_tables_are_told_once_and_diag_names_classes(tmp_path: Path) -> None:
    names = {part: [f"{part}{n}" for n in range(8)] for part in ("train", "test")}
    files = pictures([f"images/{name}" for part in names.values() for name in part])
    for part, found in names.items():
        rows = [f"{name},{n % 2},{('Cyst', 'Stone')[n % 2]}" for n, name in enumerate(found)]
        files[f"{part}.csv"] = table("image_id,target,diag", *rows)
    image_set = as_folder(files, tmp_path)
    assert image_set.classes == ("Cyst", "Stone")
    assert image_set.notes.count("The numbers in 'target' take their names from 'diag'.") == 1


def test_a_one_hot_column_is_a_class_and_is_not_offered_as_a_patient() -> None:
    names = [f"i{n}.png" for n in range(6)]
    rows = [f"{name},{n % 2},{1 - n % 2},P{n // 2}" for n, name in enumerate(names)]
    found = recognise([*names, "t.csv"], {"t.csv": table("image,MEL,NV,person", *rows)})
    assert found["classes"] == ["MEL", "NV"]
    assert [row["column"] for row in found["groups"]] == ["person"]


def test_isic_one_hot_columns_are_the_classes_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    names = [f"ISIC_{n}" for n in range(12)]
    hot = ["1.0,0.0,0.0,0.0", "0.0,1.0,0.0,0.0", "0.0,0.0,0.0,1.0"]
    rows = [f"{name},{hot[n % 3]}" for n, name in enumerate(names)]
    bad = ["ISIC_90,0.0,0.0,0.0,0.0", "ISIC_91,1.0,1.0,0.0,0.0"]
    files = pictures([f"ISIC_2019_Training_Input/{name}" for name in [*names, "ISIC_90", "ISIC_91"]], ".jpg")
    files = {name: b.encoded(n, "JPEG") for n, name in enumerate(files)}
    found = as_folder(
        files | {"ISIC_2019_Training_GroundTruth.csv": table("image,MEL,NV,BCC,UNK", *rows, *bad)}, tmp_path
    )
    assert found.classes == ("MEL", "NV", "UNK")
    assert labels(found) == {name: found.classes[n % 3] for n, name in enumerate(names)}
    assert found.notes[1:4] == (
        "Its column image names the files.",
        "Classes stand one-hot in the columns MEL..UNK.",
        "Left out, because no usable row has a 1 there: BCC.",
    )
    assert [(p.file, p.problem, p.found) for p in found.problems] == [
        ("ISIC_2019_Training_GroundTruth.csv, row 14", "no_label", "found none"),
        ("ISIC_2019_Training_GroundTruth.csv, row 15", "several_labels", "found MEL, NV"),
    ]


def test_lesions_that_stand_in_a_second_table_group_the_images(tmp_path: Path) -> None:
    names = [f"ISIC_{n}" for n in range(24)]
    truth = [f"{name},{1 - n % 2}.0,{n % 2}.0" for n, name in enumerate(names)]
    facts = [f"{name},{30 + n},anterior torso,L{n // 4},female" for n, name in enumerate(names)]
    found = as_folder(
        pictures([f"images/{name}" for name in names])
        | {
            "Training_GroundTruth.csv": table("image,MEL,NV", *truth),
            "Training_Metadata.csv": table("image,age_approx,anatom_site_general,lesion_id,sex", *facts),
        },
        tmp_path,
    )
    assert found.classes == ("MEL", "NV")
    assert found.extra == {"grouped_by": "lesion_id"}
    seen, tested = sides(found)
    assert (len(seen | tested), seen & tested) == (6, set())


Case = tuple[list[str], list[str], dict[str, str], str | None]
PUBLIC: dict[str, Case] = {
    "ISIC 2020: target takes its names from benign_malignant, the patient is coarser than the lesion": (
        [f"train/ISIC_{n}.png" for n in range(12)],
        [
            "image_name,patient_id,lesion_id,sex,age_approx,diagnosis,benign_malignant,target",
            *(f"ISIC_{n},IP_{n // 4},IL_{n // 2},male,{n},unknown,{'bm'[n % 2]}x,{n % 2}" for n in range(12)),
        ],
        {f"ISIC_{n}": "bx" if n % 2 == 0 else "mx" for n in range(12)},
        "patient_id",
    ),
    "APTOS: digits, no suffix": (
        [f"train_images/{n:03x}c1.png" for n in range(8)],
        ["id_code,diagnosis", *(f"{n:03x}c1,{n % 4}" for n in range(8))],
        {f"{n:03x}c1": f"class {n % 4}" for n in range(8)},
        None,
    ),
    "RSNA: the patient is the file": (
        [f"stage_2_train_images/{n:04d}-ab.png" for n in range(8)],
        ["patientId,x,y,width,height,Target", *(f"{n:04d}-ab,,,,,{n % 2}" for n in range(8))],
        {f"{n:04d}-ab": f"class {n % 2}" for n in range(8)},
        None,
    ),
    "PAD-UFES-20: names with a suffix, patients before lesions": (
        [f"imgs_part_{1 + n % 3}/PAT_{n}_{n}.png" for n in range(12)],
        [
            "patient_id,lesion_id,smoke,age,region,diagnostic,itch,img_id,biopsed",
            *(
                f"PAT_{n // 4},{n // 2},False,50,ARM,{'BCC' if n % 2 else 'NEV'},True,PAT_{n}_{n}.png,False"
                for n in range(12)
            ),
        ],
        {f"PAT_{n}_{n}": "BCC" if n % 2 else "NEV" for n in range(12)},
        "patient_id",
    ),
    "CheXpert: paths from a folder that is not here": (
        [f"train/patient{n // 2}/study1/view{n % 2}.png" for n in range(8)],
        [
            "Path,Label",
            *(f"CheXpert-v1.0-small/train/patient{n // 2}/study1/view{n % 2}.png,c{n // 4}" for n in range(8)),
        ],
        {},
        None,
    ),
    "Montgomery: findings beside study_id": (
        [f"images/MCUCXR_{n:04d}_{n % 2}.png" for n in range(8)],
        [
            "study_id,gender,age,findings",
            *(f"MCUCXR_{n:04d}_{n % 2}.png,Male,{n},{'TB' if n % 2 else 'normal'}" for n in range(8)),
        ],
        {f"MCUCXR_{n:04d}_{n % 2}": "TB" if n % 2 else "normal" for n in range(8)},
        None,
    ),
    "Kaggle: capitals and another suffix than the files": (
        [f"Images/a{n}.png" for n in range(8)],
        ["Filename,Label", *(f"A{n}.tif,{'yn'[n % 2]}" for n in range(8))],
        {f"a{n}": "yn"[n % 2] for n in range(8)},
        None,
    ),
    "a spreadsheet ate the zeros before numbers": (
        [f"img/{n:05d}.png" for n in range(8)],
        ["image;class", *(f"{n};{'yn'[n % 2]}" for n in range(8))],
        {f"{n:05d}": "yn"[n % 2] for n in range(8)},
        None,
    ),
    "Excel in Germany: sep= and decimal commas": (
        [f"img/a{n}.png" for n in range(8)],
        ["sep=;", "image;MEL;NV", *(f"a{n};{n % 2},0;{1 - n % 2},0" for n in range(8))],
        {f"a{n}": "MEL" if n % 2 else "NV" for n in range(8)},
        None,
    ),
    "no line of names": (
        [f"img/a{n}.png" for n in range(8)],
        [f"a{n},{'benign' if n % 2 else 'malignant'}" for n in range(8)],
        {f"a{n}": "benign" if n % 2 else "malignant" for n in range(8)},
        None,
    ),
    "label beside class_name": (
        [f"img/a{n}.png" for n in range(8)],
        ["file,label,class_name", *(f"a{n}.png,{n % 2},{'benign' if n % 2 else 'malignant'}" for n in range(8))],
        {f"a{n}": "benign" if n % 2 else "malignant" for n in range(8)},
        None,
    ),
    "cells with lists of one label": (
        [f"img/{n}_left.png" for n in range(8)],
        ["ID,filename,labels,target", *(f'{n // 2},{n}_left.png,"[\'{"NC"[n % 2]}\']","[1, 0]"' for n in range(8))],
        {f"{n}_left": "NC"[n % 2] for n in range(8)},
        "ID",
    ),
}


@pytest.mark.parametrize("case", PUBLIC)
def test_public_tables_are_read_as_they_are_distributed(case: str, tmp_path: Path) -> None:
    names, lines, expected, group = PUBLIC[case]
    files = {name: b.encoded(n) for n, name in enumerate(names)}
    found = as_folder(files | {"metadata.csv": table(*lines)}, tmp_path)
    assert found.problems == ()
    assert len(found.images) == len(names)
    if expected:
        assert labels(found) == expected
    assert found.extra.get("grouped_by") == group
    seen, tested = sides(found)
    assert group is None or not seen & tested


def test_numbers_with_names_keep_the_order_of_the_numbers(tmp_path: Path) -> None:
    lines = ["path,label,class_name", *(f"a{n}.png,{n % 3},{'zab'[n % 3]}" for n in range(9))]
    found = as_folder(pictures([f"a{n}" for n in range(9)]) | {"m.csv": table(*lines)}, tmp_path)
    assert found.classes == ("z", "a", "b")
    assert "The numbers in 'label' take their names from 'class_name'." in found.notes


def test_several_labels_in_a_cell_are_refused_row_by_row(tmp_path: Path) -> None:
    cells = ["Effusion", "Effusion|Mass", "No Finding", "Mass", "No Finding", "Effusion", "Mass", "Mass"]
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,"]
    lines += [f"{n:08d}_000.png,{cell},0,{n // 2},50," for n, cell in enumerate(cells)]
    files = pictures([f"images_001/images/{n:08d}_000" for n in range(8)])
    found = as_folder(files | {"Data_Entry_2017.csv": table(*lines)}, tmp_path)
    assert sorted(found.classes) == ["Effusion", "Mass", "No Finding"]
    assert [(p.file, p.problem, p.found) for p in found.problems] == [
        ("Data_Entry_2017.csv, row 3", "several_labels", "found 2: Effusion|Mass")
    ]
    assert found.extra == {"grouped_by": "Patient ID"}


@pytest.mark.parametrize("words", [("train", "test"), ("Training", "Testing")])
def test_one_table_for_each_part_gives_the_parts(words: tuple[str, str], tmp_path: Path) -> None:
    first, second = (f"x_{word}_labels.csv" for word in words)
    lines = [f"a{n},{'yn'[n % 2]}" for n in range(12)]
    found = as_folder(
        pictures([f"img/a{n}" for n in range(12)])
        | {first: table("image,label", *lines[:8]), second: table("image,label", *lines[8:])},
        tmp_path,
    )
    assert {i.part: len(found.part(i.part)) for i in found.images} == {"train": 8, "test": 4}
    assert found.notes[0] == f"Classes and parts come from '{second}' and '{first}'."


def test_folders_called_train_and_test_give_the_part_where_the_table_does_not(tmp_path: Path) -> None:
    names = [f"{'test' if n > 7 else 'train'}/a{n}" for n in range(12)]
    lines = ["image,label", *(f"a{n},{'yn'[n % 2]}" for n in range(12))]
    found = as_folder(pictures(names) | {"labels.csv": table(*lines)}, tmp_path)
    assert {i.part: len(found.part(i.part)) for i in found.images} == {"train": 8, "test": 4}


def test_class_folders_take_their_groups_from_a_table_without_classes(tmp_path: Path) -> None:
    names = [f"{'benign' if n % 2 else 'malignant'}/IM{n}" for n in range(24)]
    lines = ["file,patient,age", *(f"IM{n}.png,P{n // 4},5" for n in range(24))]
    found = as_folder(pictures(names) | {"patients.csv": table(*lines)}, tmp_path)
    assert found.classes == ("benign", "malignant")
    assert found.extra == {"grouped_by": "patient"}
    seen, tested = sides(found)
    assert (len(seen | tested), seen & tested) == (6, set())


def test_rows_that_name_folders_label_all_images_below_and_keep_them_together(tmp_path: Path) -> None:
    names = [f"XR_WRIST/patient{n // 3}/study1/image{n % 3}" for n in range(18)]
    lines = [f"MURA-v1.1/XR_WRIST/patient{n}/study1/,{n % 2}" for n in range(6)]
    found = as_folder(pictures(names) | {"labeled_studies.csv": table(*lines)}, tmp_path)
    assert (found.classes, len(found.images), found.problems) == (("class 0", "class 1"), 18, ())
    seen, tested = sides(found)
    assert (len(seen | tested), seen & tested) == (6, set())


def test_labels_that_look_the_same_are_one_class_with_a_note(tmp_path: Path) -> None:
    names = [f"p{n}" for n in range(9)]
    rows = [f"{name}.png,{('Benign', 'benign', 'in_situ')[n % 3]}" for n, name in enumerate(names)]
    found = as_folder(pictures(names) | {"labels.csv": table("path,label", *rows)}, tmp_path)
    assert found.classes == ("Benign", "in situ")
    assert sum(found.counts()["Benign"].values()) == 6
    assert "'Benign' and 'benign' were read as one class, 'Benign'." in found.notes


def test_a_row_with_more_cells_than_columns_is_named_and_not_read_shifted(tmp_path: Path) -> None:
    names = [f"p{n}" for n in range(8)]
    rows = [f"{name}.png,{('benign', 'malignant')[n % 2]},patient {n}" for n, name in enumerate(names)]
    rows[2] = "p2.png,solid mass, irregular,patient 2"
    rows[3] += ",,"
    files = pictures(names) | {"labels.csv": table("path,label,patient_id", *rows)}
    found = as_folder(files, tmp_path)
    assert found.classes == ("benign", "malignant")
    assert sorted(labels(found)) == ["p0", "p1", "p3", "p4", "p5", "p6", "p7"]
    problem = next(p for p in found.problems if p.problem == "too_many_cells")
    assert problem.file == "labels.csv, row 4"
    assert problem.found == "found 4; a separator inside a cell needs quotes around the cell"


def test_rows_without_image_and_images_without_row_are_named(tmp_path: Path) -> None:
    lines = ["image,label", *(f"a{n},{'yn'[n % 2]}" for n in range(8)), "gone,y", "twin,y"]
    files = pictures([*(f"img/a{n}" for n in range(8)), "img/extra", "one/twin", "two/twin"])
    found = as_folder(files | {"labels.csv": table(*lines)}, tmp_path)
    assert [(p.file, p.problem, p.found) for p in found.problems] == [
        ("gone", "missing_file", "found none"),
        ("twin", "ambiguous_file", "found 2: one/twin.png, two/twin.png"),
        ("img/extra.png", "unlisted", "none names this image"),
    ]
    assert len(found.images) == 8


def test_masks_beside_listed_images_stay_masks(tmp_path: Path) -> None:
    names = [*(f"images/a{n}" for n in range(8)), *(f"images/a{n}_mask" for n in range(8))]
    lines = ["image,label", *(f"a{n},{'yn'[n % 2]}" for n in range(8))]
    found = as_folder(pictures(names) | {"labels.csv": table(*lines)}, tmp_path)
    assert (len(found.images), found.problems) == (8, ())


ENCODINGS = {
    "UTF-8 with a mark": ("utf-8-sig", 0),
    "UTF-16": ("utf-16", 0),
    "UTF-16 without a mark": ("utf-16-le", 0),
    "Windows": ("cp1252", 1),
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_tables_are_read_in_the_encodings_spreadsheets_write(case: str, tmp_path: Path) -> None:
    encoding, n_notes = ENCODINGS[case]
    text = "\r\n".join(["file;label", *(f"a{n}.png;{'nævus' if n % 2 else 'Melanom é'}" for n in range(8))])
    found = as_folder(pictures([f"a{n}" for n in range(8)]) | {"t.csv": text.encode(encoding)}, tmp_path)
    assert found.classes == ("Melanom é", "nævus")
    guessed = [note for note in found.notes if "Windows-1252" in note]
    assert guessed == ["'t.csv' is not in UTF-8 and was read as Windows-1252; check letters with accents."] * n_notes


REFUSED = {
    "no class in the table": (
        {"HAM.csv": table("lesion,image_id,age", *(f"L{n},a{n},{n}" for n in range(4)))},
        "'HAM.csv' was not used: it has no column label (columns found: lesion, image_id, age)",
    ),
    "an Excel table": ({"HAM.xlsx": b"PK\x03\x04"}, "'HAM.xlsx' was not used: it is an Excel table; save it as CSV"),
    "a Parquet table": ({"t.parquet": b"PAR1"}, "'t.parquet' was not used: it is a Parquet table; save it as CSV"),
    "an Excel table that calls itself CSV": (
        {"t.csv": b"PK\x03\x04"},
        "'t.csv' was not used: 't.csv' is an Excel or OpenDocument table",
    ),
    "two tables that differ": (
        {f"{name}.csv": table("image,label", *(f"a{n},{'yn'[n % 2]}" for n in range(4))) for name in ("one", "two")},
        "One table with the classes of the images; found one.csv, two.csv. Keep one, call it manifest.csv",
    ),
    "several classes in nearly every row": (
        {"t.csv": table("image,A,B,C", *(f"a{n},1,1,0" for n in range(4)))},
        "One 1 in each row among the columns A..C, where labels stand one-hot; 0 of 4 rows of 't.csv' have it",
    ),
    "other images": (
        {"t.csv": table("path,label", "x1.png,y", "x2.png,n")},
        "none of the 2 rows of 't.csv' names a file that is here, first 'x1.png' in the column path",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_cannot_be_used_are_named_with_the_cause(case: str, tmp_path: Path) -> None:
    files, words = REFUSED[case]
    with pytest.raises(UnreadableSource) as refusal:
        as_folder(pictures([f"a{n}" for n in range(4)]) | files, tmp_path)
    assert words in refusal.value.sentence


def test_a_table_given_by_itself_that_is_no_text_says_how_to_save_it(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnreadableSource, match=r"'t\.xlsx' is an Excel or OpenDocument table\. Save it"):
        read_image_set(tmp_path / "t.xlsx")


def test_a_chosen_column_counts_instead_of_the_recognised_one(tmp_path: Path) -> None:
    folder = b.write_folder(tmp_path, ham10000())
    none = read_image_set(folder, choice=ColumnChoice(group="none"))
    assert {image.group for image in none.images} == {None}
    assert "Images are not grouped, as was asked; lesion_id would make 12 groups." in none.notes
    chosen = read_image_set(folder, choice=ColumnChoice(group="Image ID"))
    assert len({image.group for image in chosen.images}) == 36
    with pytest.raises(InvalidOption, match="'group' names a column of a table beside the images; 'ward' is none"):
        read_image_set(folder, choice=ColumnChoice(group="ward"))
    with pytest.raises(InvalidOption, match="'ward' is none \\(there is no table\\)"):
        read_image_set(b.write_folder(tmp_path / "plain", b.class_files()), choice=ColumnChoice(group="ward"))


def test_a_chosen_column_of_classes_counts(tmp_path: Path) -> None:
    lines = ["image,label,shade", *(f"a{n},{'yn'[n % 2]},{'dark' if n < 4 else 'light'}" for n in range(8))]
    folder = b.write_folder(tmp_path, pictures([f"a{n}" for n in range(8)]) | {"t.csv": table(*lines)})
    assert read_image_set(folder, choice=ColumnChoice(label="shade")).classes == ("dark", "light")


def test_a_number_of_the_class_or_of_the_row_groups_nothing(tmp_path: Path) -> None:
    lines = ["image,case,subject,lesion_id,label"]
    lines += [f"a{n},{n},{'yn'[n % 2]},L{n // 4},{n % 2}" for n in range(24)]
    found = as_folder(pictures([f"a{n}" for n in range(24)]) | {"t.csv": table(*lines)}, tmp_path)
    assert found.extra == {"grouped_by": "lesion_id"}


def test_an_identity_that_is_not_read_is_named(tmp_path: Path) -> None:
    lines = ["image,label,hospital_no", *(f"a{n},{'yn'[n % 2]},{4000 + n // 3}" for n in range(18))]
    found = as_folder(pictures([f"a{n}" for n in range(18)]) | {"t.csv": table(*lines)}, tmp_path)
    assert found.notes[-2] == (
        "The column hospital_no of 't.csv' looks like an identity and is not used. If it tells patients apart, choose "
        "it as the group."
    )
    assert found.extra == {}


HINTS = {
    "patients by name": ([f"benign/patient{n // 3}_{n % 3}" for n in range(12)], "patient0_0.png", 4),
    "slides of BreakHis": (
        [f"benign/SOB_B_A-14-22{n // 4}AB-100-{n:03d}" for n in range(16)],
        "SOB_B_A-14-220AB-100-000.png",
        4,
    ),
    "running numbers": ([f"benign/{n}" for n in range(12)], None, 0),
    "one word and numbers": ([f"benign/IM_{n:04d}" for n in range(12)], None, 0),
    "one year and numbers": ([f"benign/scan_2021_{n:03d}" for n in range(12)], None, 0),
}


@pytest.mark.parametrize("case", HINTS)
def test_names_that_look_like_patients_give_a_hint_and_no_groups(case: str, tmp_path: Path) -> None:
    names, first, n_patients = HINTS[case]
    found = as_folder(pictures([*names, *(name.replace("benign", "normal") for name in names)]), tmp_path)
    hints = [note for note in found.notes if "look as if several images were of one patient" in note]
    assert bool(hints) == (first is not None)
    if first:
        assert f"'{first}'" in hints[0]
        assert f"({2 * n_patients} in {2 * len(names)} images)" in hints[0] or f"({n_patients} in" in hints[0]
    assert {image.group for image in found.images} == {None}


def test_names_give_no_hint_where_folders_group_the_images_already(tmp_path: Path) -> None:
    names = [
        f"{c}/SOB_{c[0].upper()}_A-14-22{p}AB/40X/SOB_{c[0].upper()}_A-14-22{p}AB-40-{n:03d}"
        for c in ("benign", "malignant")
        for p in range(4)
        for n in range(4)
    ]
    found = as_folder(pictures(names), tmp_path)
    assert {image.group for image in found.images} == {f"SOB_{c}_A-14-22{p}AB" for c in "BM" for p in range(4)}
    assert not [note for note in found.notes if "look as if" in note]


def test_parts_that_tear_groups_are_a_leak_with_its_size(tmp_path: Path) -> None:
    lines = [
        "path,label,split,patient",
        *(f"a{n}.png,{'yn'[n % 2]},{'test' if n > 7 else 'train'},P{n // 5}" for n in range(12)),
    ]
    b.write_folder(tmp_path, pictures([f"a{n}" for n in range(12)]) | {"t.csv": table(*lines)})
    problems, summary = check_images(tmp_path)
    torn = [(p.file, p.problem, p.found) for p in problems if p.problem == "same_group"]
    assert torn == [("a8.png", "same_group", "2 images of group 'P1' in test and 3 in train, such as 'a5.png'")]
    assert (summary["leaks"], summary["ok"]) == (1, False)


@pytest.mark.parametrize("way", WAYS)
def test_a_manifest_of_train_and_val_is_held_out_of_both_by_whole_groups(
    way: Callable[[Files, Path], ImageSet], tmp_path: Path
) -> None:
    lines = ["path,label,split,group"]
    lines += [f"a{n}.png,{'yn'[n % 2]},{'val' if n % 3 == 0 else 'train'},P{n // 6}" for n in range(60)]
    found = way(pictures([f"a{n}" for n in range(60)]) | {"m.csv": table(*lines)}, tmp_path)
    seen, tested = sides(found)
    assert not seen & tested
    assert (len(found.part("test")), len(seen | tested)) == (18, 10)
    assert {image.part for image in found.images} == {"train", "val", "test"}


def test_a_column_cannot_be_chosen_of_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", train_images=np.zeros((4, 8, 8), np.uint8), train_labels=np.arange(4).reshape(4, 1))
    with pytest.raises(InvalidOption, match=r"Columns are chosen of a table beside the images; an \.npz has no table"):
        read_image_set(tmp_path / "x.npz", choice=ColumnChoice(group="patient"))
