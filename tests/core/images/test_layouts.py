"""Public image sets by their folders, rebuilt small: each is read right, or refused with the cause."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.errors import UnreadableSource
from core.images.check import check_images
from core.images.image_set import ImageSet
from core.images.layout import plan_by_folders
from core.images.plan import Plan
from core.images.read import read_image_set, read_uploaded_files
from core.images.reading import UnusableImageSet
from core.images.source import UploadSource
from tests.core.images import builders as b


def pictures(*folders: str, count: int = 3, form: str = "png", stem: str = "{folder}-{n}") -> dict[str, bytes]:
    """Pictures in folders, all different; in the stem, {folder} is the last folder."""
    files = {}
    for k, folder in enumerate(folders):
        for n in range(count):
            name = stem.format(folder=folder.split("/")[-1], n=n)
            files[f"{folder}/{name}.{form}"] = b.encoded(100 * k + n)
    return files


def plan_of(files: dict[str, bytes]) -> Plan:
    return plan_by_folders(UploadSource([(name, io.BytesIO(content)) for name, content in files.items()]))


def counts(plan: Plan) -> dict[str, dict[str, int]]:
    """{class: {part: number of images}}."""
    table: dict[str, dict[str, int]] = {name: {} for name in plan.classes}
    for entry in plan.entries:
        row = table[plan.classes[entry.label]]
        part = entry.part or "undecided"
        row[part] = row.get(part, 0) + 1
    return table


def each(number: int, *classes: str) -> dict[str, dict[str, int]]:
    return {name: {"undecided": number} for name in classes}


def parted(*classes: str, **numbers: int) -> dict[str, dict[str, int]]:
    return {name: dict(numbers) for name in classes}


COVID = [f"COVID-19_Radiography_Dataset/{c}" for c in ("COVID", "Normal", "Viral Pneumonia")]
OCT = [f"{part}/{c}" for part in ("train", "val", "test") for c in ("CNV", "DME", "NORMAL")]
KATHER = "Kather_texture_2016_image_tiles_5000/Kather_texture_2016_image_tiles_5000/"
CT = "CT-KIDNEY-DATASET-Normal-Cyst-Tumor-Stone/CT-KIDNEY-DATASET-Normal-Cyst-Tumor-Stone/"
GROUPED = "Classes are the folders that hold images, also below 'colon_image_sets' and 'lung_image_sets'."

# name of the case: (files, classes with their images, words of the notes)
READ: dict[str, tuple[dict[str, bytes], dict[str, dict[str, int]], tuple[str, ...]]] = {
    "COVID-19 Radiography": (
        pictures(*[f"{c}/images" for c in COVID], stem="X-{n}")
        | pictures(*[f"{c}/masks" for c in COVID], stem="X-{n}")
        | {
            "COVID-19_Radiography_Dataset/README.md.txt": b"text",
            "COVID-19_Radiography_Dataset/COVID.metadata.xlsx": b"",
        },
        each(3, "COVID", "Normal", "Viral Pneumonia"),
        ("9 masks were found; they are no training images.",),
    ),
    "COVID-QU-Ex": (
        pictures(*[f"Data/{p}/{c}/images" for p in ("Train", "Test") for c in ("COVID-19", "Normal")], stem="x_{n}")
        | pictures(
            *[f"Data/{p}/{c}/lung masks" for p in ("Train", "Test") for c in ("COVID-19", "Normal")], stem="x_{n}"
        ),
        parted("COVID-19", "Normal", train=3, test=3),
        ("12 masks were found; they are no training images.",),
    ),
    "LC25000": (
        pictures(
            *[f"lung_colon_image_set/colon_image_sets/{c}" for c in ("colon_aca", "colon_n")],
            *[f"lung_colon_image_set/lung_image_sets/{c}" for c in ("lung_aca", "lung_n", "lung_scc")],
        ),
        each(3, "colon aca", "colon n", "lung aca", "lung n", "lung scc"),
        (GROUPED,),
    ),
    "BUSI": (
        {
            f"Dataset_BUSI_with_GT/{c}/{c} ({n}){end}.png": b.encoded(n)
            for c in ("benign", "malignant", "normal")
            for n in range(1, 4)
            for end in ("", "_mask", *(["_mask_1"] if n == 1 else []))
        },
        each(3, "benign", "malignant", "normal"),
        ("12 masks were found; they are no training images.",),
    ),
    "Kvasir v2": (
        pictures("kvasir-dataset-v2/polyps", "kvasir-dataset-v2/normal-cecum", form="jpg"),
        each(3, "normal-cecum", "polyps"),
        (),
    ),
    "HyperKvasir": (
        pictures(
            "labeled-images/lower-gi-tract/anatomical-landmarks/cecum",
            "labeled-images/lower-gi-tract/pathological-findings/polyps",
            "labeled-images/upper-gi-tract/anatomical-landmarks/pylorus",
        ),
        each(3, "cecum", "polyps", "pylorus"),
        ("Classes are the folders that hold images, also below 'lower-gi-tract' and 'upper-gi-tract'.",),
    ),
    "Kather texture": (
        pictures(f"{KATHER}01_TUMOR", f"{KATHER}02_STROMA", form="tif"),
        each(3, "01 TUMOR", "02 STROMA"),
        (),
    ),
    "CT kidney": (
        pictures(f"{CT}Cyst", f"{CT}Normal", f"{CT}Stone", f"{CT}Tumor") | {"kidneyData.csv": b"id,path\n"},
        each(3, "Cyst", "Normal", "Stone", "Tumor"),
        (),
    ),
    "OCT2017": (
        pictures(*[f"OCT2017 /{place}" for place in OCT]) | {"__MACOSX/OCT2017 /train/._CNV": b"x"},
        parted("CNV", "DME", "NORMAL", train=3, val=3, test=3),
        (),
    ),
    "chest_xray with its copy": (
        pictures(*[f"chest_xray/{p}/{c}" for p in ("train", "test") for c in ("NORMAL", "PNEUMONIA")])
        | pictures(*[f"chest_xray/chest_xray/{p}/{c}" for p in ("train", "test") for c in ("NORMAL", "PNEUMONIA")]),
        parted("NORMAL", "PNEUMONIA", train=3, test=3),
        ("'chest_xray/chest_xray' repeats files of 'chest_xray' and was left out.",),
    ),
    "brain tumor MRI": (
        pictures(*[f"archive/{p}/{c}_tumor" for p in ("Training", "Testing") for c in ("glioma", "pituitary")]),
        parted("glioma tumor", "pituitary tumor", train=3, test=3),
        (),
    ),
    "two wrappers and a README": (
        pictures(*[f"archive/brain/{p}/{c}" for p in ("train", "valid") for c in "ab"]) | {"README.txt": b"hi"},
        parted("a", "b", train=3, val=3),
        (),
    ),
    "REFUGE": (
        pictures("Training400/Glaucoma", "Training400/Non-Glaucoma", form="jpg")
        | pictures(
            "Annotation-Training400/Disc_Cup_Masks/Glaucoma",
            "Annotation-Training400/Disc_Cup_Masks/Non-Glaucoma",
            form="bmp",
        ),
        parted("Glaucoma", "Non-Glaucoma", train=3),
        ("6 masks were found; they are no training images.",),
    ),
    "classes above parts": (
        pictures(*[f"set/{c}/{p}" for c in ("cyst", "stone") for p in ("train", "test")]),
        parted("cyst", "stone", train=3, test=3),
        (),
    ),
    "parts wrapped in their own ways": (
        pictures("train_set/images/a", "train_set/images/b", "test_set/a", "test_set/b"),
        parted("a", "b", train=3, test=3),
        (),
    ),
    "magnifications": (
        pictures(*[f"{c}/{m}" for c in ("benign", "malignant") for m in ("40X", "100X")]),
        each(6, "benign", "malignant"),
        ("Folders '100X' and '40X' are read as magnifications, not as classes.",),
    ),
    "unlabelled test part": (
        pictures("train/a", "train/b", "test"),
        parted("a", "b", train=3),
        (),
    ),
    "unlabelled test folder beside classes": (pictures("COVID", "normal", "test"), each(3, "COVID", "normal"), ()),
    "one class of its own depth": (
        pictures("normal", "tumour/benign", "tumour/malignant"),
        each(3, "benign", "malignant", "normal"),
        ("Classes are the folders that hold images, also below 'tumour'.",),
    ),
    "cell_images with its copy": (
        pictures(*[f"cell_images/{c}" for c in ("Parasitized", "Uninfected")])
        | pictures(*[f"cell_images/cell_images/{c}" for c in ("Parasitized", "Uninfected")]),
        each(3, "Parasitized", "Uninfected"),
        ("'cell_images/cell_images' repeats files of 'cell_images' and was left out.",),
    ),
    "breast histopathology by patient": (
        pictures(*[f"{p}/{c}" for p in ("10253", "10254", "8863") for c in "01"]),
        each(9, "0", "1"),
        ("Folders such as '10253' and '10254' and 1 more are patients or slides, whose images stay together.",),
    ),
    "parts named beside each other": (
        pictures("brain_train/a", "brain_train/b", "brain_test/a", "brain_test/b"),
        parted("a", "b", train=3, test=3),
        (),
    ),
    "classes that are letters and numbers": (pictures("imgs/c0", "imgs/c1"), each(3, "c0", "c1"), ()),
    "classes that are numbers": (
        pictures("train/0", "train/1", "test/0", "test/1"),
        parted("0", "1", train=3, test=3),
        (),
    ),
}


@pytest.mark.parametrize("case", READ)
def test_public_layout_is_read_as_its_authors_meant_it(case: str) -> None:
    files, classes, notes = READ[case]
    plan = plan_of(files)
    assert counts(plan) == classes
    assert tuple(plan.notes) == notes


REFUSED: dict[str, tuple[Iterable[str], str]] = {
    "pieces of one collection": (
        ["HAM10000_images_part_1", "HAM10000_images_part_2"],
        "found 'HAM10000_images_part_1' and 'HAM10000_images_part_2', which are pieces of one collection",
    ),
    "NIH ChestX-ray14": (
        ["images_001/images", "images_002/images"],
        "found 6 images in 'images_001/images' and 'images_002/images' and no class folders",
    ),
    "one folder": (["CXR_png"], "found one, 'CXR png'"),
    "images and nothing else": (["images"], "found 3 images in 'images' and no class folders"),
    "parts without classes": (["train", "test"], "found 6 images directly in 'test' and 'train'"),
    "sites or classes": (
        ["site A/benign", "site A/malignant", "site B/benign", "site B/malignant"],
        "found images in 'site A/benign' and 'site B/benign', where either folder may be the class",
    ),
    "two sets in one": (
        ["brain/train/a", "brain/train/b", "chest/train/c", "chest/train/d"],
        "found one in 'brain' and one in 'chest'",
    ),
    "tiles beside whole images": (
        ["tiles_5000/01_TUMOR", "tiles_5000/02_STROMA", "larger_images_10"],
        "found images in 'larger_images_10' and in 'tiles_5000/01_TUMOR' and 'tiles_5000/02_STROMA'",
    ),
    "patients without classes": (["patient00001/study1", "patient00002/study1"], "which name patients or images"),
    "a test part alone": (["test/a", "test/b"], "found only folders for test"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_layout_that_cannot_be_settled_says_what_lies_where(case: str) -> None:
    folders, words = REFUSED[case]
    with pytest.raises(UnreadableSource) as refusal:
        read_uploaded_files([(name, io.BytesIO(content)) for name, content in pictures(*folders).items()])
    assert words in refusal.value.sentence
    assert refusal.value.remedy


def test_folders_of_patients_group_the_images_of_a_class() -> None:
    plan = plan_of(pictures("benign/patient_01", "benign/patient_02", "malignant/patient_03", "malignant/patient_04"))
    assert counts(plan) == each(6, "benign", "malignant")
    assert {(entry.name.split("/")[1], entry.group) for entry in plan.entries} == {
        (f"patient_0{n}", f"patient_0{n}") for n in range(1, 5)
    }
    assert plan.notes == [
        "Folders such as 'patient_01' and 'patient_02' and 2 more are patients or slides, whose images stay together."
    ]


def test_second_tree_with_other_files_is_no_copy() -> None:
    first = pictures("x/train/a", "x/train/b")
    second = {f"x/{name}": content + b"" for name, content in first.items()}
    second["x/x/train/a/a-0.png"] = b.encoded(77)
    with pytest.raises(UnreadableSource, match="found one in 'x' and one in 'x/x'"):
        plan_of(first | second)


OTHERS: dict[str, tuple[str, bytes, str, str]] = {
    "DICOM by name": ("a/{n}.dcm", b"", "found 4 DICOM files", "dcmj2pnm"),
    "DICOM by content": ("a/IM{n}", bytes(128) + b"DICM" + bytes(20), "found 4 DICOM files", "dcmj2pnm"),
    "NIfTI": ("a/scan{n}.nii.gz", b"\x1f\x8b", "found 4 volumes (NIfTI, NRRD or MetaImage)", "slices"),
    "NIfTI unpacked": ("a/scan{n}.nii", b"", "found 4 volumes (NIfTI, NRRD or MetaImage)", "slices"),
    "MATLAB": ("brainTumorDataPublic_1-766/{n}.mat", b"MATLAB 7.3 MAT-file", "found 4 MATLAB files (.mat)", "h5py"),
    "whole slides": ("a/{n}.svs", b"II*\x00", "found 4 whole-slide images", "tiles"),
    "HEIC": ("a/{n}.heic", b"\x00\x00\x00 ftypheic", "found 4 HEIC images", "JPEG or PNG"),
    "arrays": ("a/{n}.npy", b"\x93NUMPY", "found 4 files of arrays (NumPy or HDF5)", "MedMNIST"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_source_without_an_image_names_what_it_holds_and_the_way_out(case: str) -> None:
    name, content, found, remedy = OTHERS[case]
    files = {name.format(n=n): content for n in range(4)} | {"README.txt": b"text"}
    with pytest.raises(UnusableImageSet) as refusal:
        read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()])
    assert found in refusal.value.found
    assert remedy in refusal.value.remedy


def test_dicom_named_png_is_still_named_as_dicom() -> None:
    files = {f"{c}/{n}.png": bytes(128) + b"DICM" for c in "ab" for n in range(2)}
    with pytest.raises(UnusableImageSet) as refusal:
        read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()])
    assert "found a DICOM file" in refusal.value.found
    assert "dcmj2pnm" in refusal.value.remedy


def test_encrypted_and_oddly_packed_zips_are_named_as_such() -> None:
    locked = b.zip_bytes(b.class_files(2))
    for name in b.class_files(2):
        locked = b.patch_flags(locked, name.encode(), 1)
    with pytest.raises(UnreadableSource) as refusal:
        uploaded_zip(locked)
    assert "found an encrypted one; 4 files were refused" in refusal.value.found
    assert refusal.value.remedy == "Make the zip again without a password."
    packed = b.zip_bytes([(b.member(name, method=12), content) for name, content in b.class_files(2).items()])
    with pytest.raises(UnreadableSource) as refusal:
        uploaded_zip(packed)
    assert "found another compression, bzip2; 4 files were refused" in refusal.value.found


def test_archive_within_a_zip_is_the_cause_though_a_text_lies_beside_it() -> None:
    inner = b.zip_bytes(b.class_files(2))
    with pytest.raises(UnreadableSource) as refusal:
        uploaded_zip(b.zip_bytes({"README.txt": b"text", "data.zip": inner}))
    assert refusal.value.found == "found an archive inside (.zip); 1 file was refused, 'data.zip'"
    assert refusal.value.remedy == "Unpack them first, or send one plain .zip."


@pytest.mark.parametrize("name", ["Train and Validation Set", "train_val", "trainval"])
def test_folder_of_train_and_validation_images_is_the_training_part(name: str) -> None:
    plan = plan_of(pictures(*(f"{part}/{c}" for part in (name, "Test Set") for c in ("lung aca", "lung n"))))
    assert counts(plan) == parted("lung aca", "lung n", train=3, test=3)


def test_one_odd_class_name_costs_that_class_alone() -> None:
    odd = {f"{'x' * 201}/{n}.png": b.encoded(50 + n) for n in range(2)}
    image_set = uploaded(b.class_files(4) | odd)
    assert image_set.classes == ("benign", "malignant")
    assert [p.problem for p in image_set.problems] == ["bad_class_name", "bad_class_name"]
    spelled = uploaded(b.parted_files() | {"test/Benign/9.png": b.encoded(60)})
    assert spelled.classes == ("Benign", "malignant")
    assert "'Benign' and 'benign' were read as one class, 'Benign'." in spelled.notes


def test_content_decides_what_a_file_is(tmp_path: Path) -> None:
    files = b.class_files(6)
    plain = read_image_set(b.write_folder(tmp_path / "plain", files))
    odd = {name.replace(".png", (".jpg", "", ".bin")[k % 3]): files[name] for k, name in enumerate(files)}
    folder = read_image_set(b.write_folder(tmp_path / "odd", odd))
    assert folder.fingerprint == plain.fingerprint
    assert folder.problems == ()
    assert "12 files hold another format than the name says, such as 'benign/0.jpg' (PNG)" in folder.notes[0]
    for name in ("set", "set.bin", "set.npz", "set.dat", "set.csv"):
        (tmp_path / name).write_bytes(b.zip_bytes(files))
        assert read_image_set(tmp_path / name).fingerprint == plain.fingerprint
        assert read_uploaded_files([(name, io.BytesIO(b.zip_bytes(files)))]).fingerprint == plain.fingerprint


def test_listing_is_known_by_its_content(tmp_path: Path) -> None:
    rows = "".join(f"{name},{name.split('/')[0]},train\n" for name in b.class_files(4))
    b.write_folder(tmp_path, b.class_files(4) | {"list.csv": f"path,label,split\n{rows}".encode()})
    right = read_image_set(tmp_path / "list.csv")
    for name in ("list.txt", "list", "list.dat"):
        (tmp_path / "list.csv").rename(tmp_path / "other")
        (tmp_path / name).write_bytes((tmp_path / "other").read_bytes())
        assert read_image_set(tmp_path / name).fingerprint == right.fingerprint
        (tmp_path / name).rename(tmp_path / "list.csv")


def test_single_image_is_no_image_set(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(b.encoded())
    with pytest.raises(UnreadableSource, match=r"found a single image. Give the folder"):
        read_image_set(tmp_path / "scan.png")


def test_folder_unpacked_from_a_windows_zip_is_read(tmp_path: Path) -> None:
    for name, content in b.parted_files().items():
        (tmp_path / name.replace("/", "\\")).write_bytes(content)
    image_set = read_image_set(tmp_path)
    assert (image_set.classes, len(image_set.part("train")), len(image_set.part("test"))) == (
        ("benign", "malignant"),
        6,
        4,
    )


def uploaded(files: dict[str, bytes]) -> ImageSet:
    return read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()])


def uploaded_zip(content: bytes) -> ImageSet:
    return read_uploaded_files([("set.zip", io.BytesIO(content))])


def test_texts_beside_images_are_not_taken_for_the_cause() -> None:
    files = pictures("Montgomery/CXR_png") | {f"Montgomery/ClinicalReadings/{n}.txt": b"text" for n in range(20)}
    with pytest.raises(UnreadableSource) as refusal:
        uploaded(files)
    assert refusal.value.sentence == (
        "At least two classes with readable training images; found one, 'CXR png'. "
        "Sort the images into one folder per class, or add a table that names the class of each."
    )


def test_twenty_thousand_files_are_planned_without_comparing_each_with_each() -> None:
    names = [f"{'ab'[n % 2]}/patient_{n % 5000:05}/{n}{end}.png" for n in range(10_000) for end in ("", "_mask")]
    read: list[str] = []

    class Listed(UploadSource):
        def read(self, name: str) -> bytes:
            read.append(name)
            return b""

    plan = plan_by_folders(Listed([(name, io.BytesIO()) for name in names]))
    assert counts(plan) == each(5000, "a", "b")
    assert (len({entry.group for entry in plan.entries}), read) == (5000, [])


def test_check_of_a_refused_set_says_what_to_do(tmp_path: Path) -> None:
    files = {f"train/{c}/IM{n}.dcm": bytes(128) + b"DICM" for c in "ab" for n in range(2)}
    problems, summary = check_images(b.write_folder(tmp_path / "set", files))
    assert "found 4 DICOM files" in problems[-1].found
    assert len(summary["notes"]) == 1
    assert summary["notes"][0].startswith("Export them as PNG with the window you read them in")
