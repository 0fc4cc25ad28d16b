"""Which column of a table is what: file, class, part and group, by usual names and by what the cells hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.images.parts import part_of
from core.images.sheet import Sheet

PATH_NAMES = (
    "path", "file", "filename", "filepath", "image", "imagepath", "imagefile", "imagefilename", "imagename", "imageid",
    "imgid", "img", "imgname", "imgpath", "imageindex", "imagefilepath", "picture", "isicid", "idcode",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "classname", "labelname", "category", "target", "dx", "diag", "diagnosis",
    "diagnose", "diagnostic", "diagnosisname", "finding", "findings", "findinglabels", "benignmalignant", "malignancy",
    "pathology", "disease",
    "diseasename", "classification", "groundtruth", "gt", "level", "grade", "retinopathygrade", "adjudicateddrgrade",
    "drgrade", "kl", "klgrade", "classid", "labelid", "y", "celltype", "tumortype", "tumourtype", "tissue",
    "lesiontype", "histology", "outcome", "status", "type",
)  # fmt: skip
SPLIT_NAMES = ("split", "part")
GROUP_NAMES = (
    ("group", "groupid"),
    (
        "patient", "patientid", "patientno", "patientnumber", "patientnr", "patientidentifier", "patientcode",
        "patientkey", "patid", "patno", "pid", "ptid", "subject", "subjectid", "subjectno", "subjectnumber", "subj",
        "subjid", "participant", "participantid", "person", "personid", "individual", "individualid", "mrn", "donor",
        "donorid", "id", "volunteer", "volunteerid", "animal", "animalid", "mouse", "mouseid", "anonpatientid",
    ),
    ("case", "caseid", "caseno", "casenum", "casenumber", "casenr"),
    (
        "study", "studyid", "studyinstanceuid", "exam", "examid", "examinationid", "examination", "accession",
        "accessionnumber", "accessionno", "admissionid", "visitid", "encounterid",
    ),
    ("series", "seriesid", "seriesinstanceuid", "scan", "scanid", "volume", "volumeid", "video", "videoid", "clipid"),
    ("eyeid", "breastid", "kneeid"),
    (
        "slide", "slideid", "slidename", "wsi", "wsiid", "specimen", "specimenid", "biopsyid", "blockid", "tissueid",
        "coreid", "sampleid",
    ),
    ("lesion", "lesionid", "nodule", "noduleid", "tumorid", "tumourid", "polypid", "woundid", "roiid"),
)  # fmt: skip
"""Names of columns that tell which images belong together, the coarsest first: two lesions may be one patient's."""

NO_GROUP = "none"
_ID_NAME = re.compile(r"(^|[^a-z])(id|uid|uuid|code|key|no|nr|number|num|hash)$|.(Id|ID|UID|No|Nr)$")
_ID_CELL = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[\w.\-]{3,}")
_SURE = ("group", "patient")
_REMARK = re.compile(r"(?<=\S)\s*\([^()]*\)")  # as in "grade (GlaS)"
_SEVERAL = re.compile(r"[|]")
_TRUE = frozenset({"1", "true", "yes"})
_FALSE = frozenset({"0", "false", "no", ""})
_UNSURE = frozenset({"-1"})
_SAMPLE = 400


@dataclass(frozen=True)
class ColumnChoice:
    """Columns a person chose. group: a column's name, or "none"; label: a column's name. None: recognised by us."""

    group: str | None = None
    label: str | None = None

    @property
    def is_ungrouped(self) -> bool:
        """Whether a person said that images shall not be grouped."""
        return self.group is not None and plain(self.group) == NO_GROUP


@dataclass(frozen=True)
class GroupColumn:
    """A column that tells which images belong together.

    usual: recognised by its name. n_groups, n_images: different values, and rows that have one.
    """

    name: str
    column: int
    usual: bool
    n_groups: int
    n_images: int


@dataclass(frozen=True)
class LabelColumn:
    """A column that could name the classes.

    usual: recognised by its name. n_classes, n_images: different values, and rows that have one.
    """

    name: str
    column: int
    usual: bool
    n_classes: int
    n_images: int

    @property
    def repeats(self) -> bool:
        """Whether there are several values, each in two rows on average: else it tells rows apart, not classes."""
        return 2 <= self.n_classes <= self.n_images // 2


@dataclass
class Columns:
    """What the columns of a table were found to be; indices into its columns, None where there is none.

    one_hot: columns of 0 and 1 that stand for a class each, where there is no label. names: a column that gives the
    numbers in `label` their names. groups: recognised group columns, the coarsest first; `group` is the one that
    counts. unread: names of columns that look like an identity and are not used.
    """

    path: int | None = None
    label: int | None = None
    names: int | None = None
    one_hot: tuple[int, ...] = ()
    split: int | None = None
    group: int | None = None
    groups: list[GroupColumn] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def has_classes(self) -> bool:
        """Whether rows say what class they are."""
        return self.label is not None or len(self.one_hot) > 1


def plain(name: str) -> str:
    """A column's name without case, spaces and marks: "Patient ID" and "patient_id" are one."""
    return re.sub(r"[^0-9a-z]", "", name.casefold())


def recognise_columns(sheet: Sheet, is_file: Callable[[str], bool], choice: ColumnChoice | None = None) -> Columns:
    """What each column of the table is.

    is_file: whether a cell names a file that is there. choice: what a person said instead; a column that the table
    does not have may stand in another one and is passed over.
    """
    choice = choice or ColumnChoice()
    found = Columns(path=_path_column(sheet, is_file))
    found.split = _split_column(sheet, found.path)
    taken = {found.path, found.split}
    chosen = find_column(sheet, choice.label) if choice.label else None
    found.label = _label_column(sheet, taken) if chosen is None else chosen
    if found.label is not None:
        found.names = _names_column(sheet, found.label, taken) if chosen is None else None
    else:
        found.one_hot = one_hot_columns(sheet, taken | {g.column for g in _group_columns(sheet, taken)})
    if not found.has_classes and found.path is not None:
        found.label = _only_other_column(sheet, taken)
    taken |= {found.label, found.names, *found.one_hot}
    found.groups = [group for group in _group_columns(sheet, taken) if not _is_label(sheet, found, group.column)]
    found.group = _group(sheet, found, choice)
    read = taken | {found.group} | {group.column for group in found.groups}
    found.unread = [sheet.columns[c] for c in range(len(sheet.columns)) if c not in read and _is_identity(sheet, c)]
    return found


def find_column(sheet: Sheet, name: str) -> int | None:
    """The column of this name: as written, else whatever its case, spaces and marks; None if there is none."""
    for spelled in (str, plain):
        written = [spelled(column) for column in sheet.columns]
        if spelled(name) in written:
            return written.index(spelled(name))
    return None


def _named(sheet: Sheet, names: Sequence[str], without: set[int | None]) -> list[int]:
    """Columns with one of these names, in the order of the names."""
    written = [plain(_REMARK.sub("", column)) for column in sheet.columns]
    found = [i for name in names for i, column in enumerate(written) if column == name and i not in without]
    return list(dict.fromkeys(found))


def _sample(sheet: Sheet, column: int) -> list[str]:
    """Some of a column's cells that are not empty, spread over the table."""
    cells = [cell for cell in sheet.cells(column) if cell]
    return cells[:: max(1, len(cells) // _SAMPLE)][:_SAMPLE]


def _path_column(sheet: Sheet, is_file: Callable[[str], bool]) -> int | None:
    """The column whose cells name most different files; by its name where no cell does."""
    usual = _named(sheet, PATH_NAMES, set())
    score = {c: len({cell for cell in _sample(sheet, c) if is_file(cell)}) for c in range(len(sheet.columns))}
    most = max(score.values(), default=0)
    if most == 0:
        return usual[0] if usual else None
    near = [column for column, hits in score.items() if 2 * hits > most]
    return next((column for column in usual if column in near), max(near, key=lambda c: (score[c], -c)))


def _split_column(sheet: Sheet, path: int | None) -> int | None:
    """The column that says train, val or test: by name, else one that holds nothing but such words."""
    usual = _named(sheet, SPLIT_NAMES, {path})
    for column in [*usual, *range(len(sheet.columns))]:
        cells = _sample(sheet, column) if column != path else []
        if len(cells) > 1 and all(part_of(cell) for cell in cells):
            return column
    return usual[0] if usual and plain(sheet.columns[usual[0]]) == "split" else None


def _label_column(sheet: Sheet, taken: set[int | None]) -> int | None:
    """The column of classes, by its name; one with the same value in every row only where there is no other."""
    usual = _named(sheet, LABEL_NAMES, taken)
    dividing = [column for column in usual if len(set(sheet.cells(column)) - {""}) > 1]
    return next(iter([*dividing, *usual]), None)


def _names_column(sheet: Sheet, label: int, taken: set[int | None]) -> int | None:
    """For labels that are numbers: another column of classes that gives each number one name."""
    if not _is_numbers(sheet, label):
        return None
    others = [c for c in _named(sheet, LABEL_NAMES, taken | {label}) if not _is_numbers(sheet, c)]
    return next((column for column in others if _names_each(sheet, label, column)), None)


def _names_each(sheet: Sheet, numbers: int, names: int) -> bool:
    """Whether each number stands with one name, and each name with one number."""
    pairs = {pair for pair in zip(sheet.cells(numbers), sheet.cells(names), strict=True) if all(pair)}
    return bool(pairs) and len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _is_numbers(sheet: Sheet, column: int) -> bool:
    cells = [cell for cell in sheet.cells(column) if cell]
    return bool(cells) and all(re.fullmatch(r"[0-9]+([.,]0+)?", cell) for cell in cells)


def _only_other_column(sheet: Sheet, taken: set[int | None]) -> int | None:
    """The one column beside the files' that is no identity, where there is just one and its values repeat."""
    groups = {group.column for group in _group_columns(sheet, taken)}
    others = [c for c in range(len(sheet.columns)) if c not in taken | groups and any(sheet.cells(c))]
    if len(others) != 1:
        return None
    cells = [cell for cell in sheet.cells(others[0]) if cell]
    return others[0] if 2 <= len(set(cells)) <= len(cells) // 2 else None


# ---------------------------------------------------------------------------------------------- one column a class


def flag(cell: str) -> bool | None:
    """Whether a cell of a one-hot column says yes; None for unsure. Raises ValueError for anything else."""
    text = re.sub(r"[.,]0+$", "", cell.strip().casefold())
    if text in _TRUE | _FALSE:
        return text in _TRUE
    if text in _UNSURE:
        return None
    raise ValueError(cell)


def one_hot_columns(sheet: Sheet, taken: set[int | None]) -> tuple[int, ...]:
    """Columns of nothing but 0 and 1 (and empty or -1, which some tables write for unsure); two or more, else none."""
    found = [c for c in range(len(sheet.columns)) if c not in taken and sheet.columns[c] and _is_flags(sheet, c)]
    return tuple(found) if len(found) > 1 and sheet.rows else ()


def _is_flags(sheet: Sheet, column: int) -> bool:
    cells = sheet.cells(column)
    try:
        return any(cells) and len({flag(cell) for cell in cells}) > 0
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------------ who belongs together


def _group_columns(sheet: Sheet, taken: set[int | None]) -> list[GroupColumn]:
    """Columns with a usual name for patients, lesions and the like that really divide the images; coarsest first."""
    found = [
        describe_group(sheet, column, True)
        for names in GROUP_NAMES
        for column in _named(sheet, names, taken)
        if _divides(sheet, column, by_word=names[0] not in _SURE)
    ]
    most = max((group.n_images for group in found), default=0)
    # A column that is empty for most images keeps few of them together; one with a value of its own in each row, none.
    full = [group for group in found if 2 * group.n_images >= most]
    return [group for group in full if group.n_groups < group.n_images] or full


def _is_label(sheet: Sheet, found: Columns, column: int) -> bool:
    """Whether a column is the class under another name: one value for each class."""
    return found.label is not None and _names_each(sheet, found.label, column)


def _divides(sheet: Sheet, column: int, by_word: bool) -> bool:
    """Whether the values tell several things apart; a bare word such as "study" or "id" may head a mere category."""
    name = plain(sheet.columns[column])
    is_bare = name == "id" or (by_word and not name.endswith("id") and not _ID_NAME.search(name, 1))
    return len(set(sheet.cells(column)) - {""}) > (3 if is_bare else 1)


def describe_group(sheet: Sheet, column: int, usual: bool = False) -> GroupColumn:
    """A column as one that groups images, with how many groups it makes."""
    cells = [cell for cell in sheet.cells(column) if cell]
    return GroupColumn(sheet.columns[column], column, usual, len(set(cells)), len(cells))


def describe_label(sheet: Sheet, column: int) -> LabelColumn:
    """A column as one that names classes, with how many it names."""
    cells = [cell for cell in sheet.cells(column) if cell]
    usual = column in _named(sheet, LABEL_NAMES, set())
    return LabelColumn(sheet.columns[column], column, usual, len(set(cells)), len(cells))


def _group(sheet: Sheet, found: Columns, choice: ColumnChoice) -> int | None:
    """The column that groups: what a person chose, else the coarsest recognised."""
    if choice.group is None:
        return found.groups[0].column if found.groups else None
    return None if choice.is_ungrouped else find_column(sheet, choice.group)


def _is_identity(sheet: Sheet, column: int) -> bool:
    """Whether a column looks like the identity of something that has several images."""
    cells = [cell for cell in sheet.cells(column) if cell]
    counts = Counter(cells)
    repeats = 2 <= len(counts) < len(cells) and 2 * len(cells) > len(sheet.rows)
    few = len(counts) < max(3, len(cells) // 50)
    if not repeats or few or _SEVERAL.search(cells[0]):
        return False
    has_name = bool(_ID_NAME.search(sheet.columns[column].strip().replace(" ", "_")))
    coded = sum(bool(_ID_CELL.fullmatch(cell)) for cell in counts)
    return has_name or 10 * coded >= 9 * len(counts)
