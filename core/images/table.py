"""Planning a source by the tables in it: which file is which class, part and group.

One table names the classes; or several do, one for each part (`train.csv`, `test.csv`). A further table of the same
images may add the column that groups them, as lesions stand beside the truth of ISIC 2019. Where no table names
classes, folders do, and a table can still group them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from core.errors import UnreadableSource
from core.images.archive import printable
from core.images.class_folders import folder_part
from core.images.columns import ColumnChoice, plain
from core.images.decode import SUFFIXES
from core.images.file_index import Match
from core.images.grouping import add_groups
from core.images.labelled_image import Part, Problem
from core.images.manifest import Listing, Row, list_rows
from core.images.name_families import patient_hint
from core.images.plan import Entry, Plan
from core.images.source import FolderSource, Source
from core.images.split_file import parse_split
from core.images.table_search import Examined, TableSearch, part_in


class Tables:
    """What the tables of a source plan, how they group images, and why they cannot be used.

    table_name: the table to use, whatever else is there. choice: columns a person chose.
    """

    def __init__(self, source: Source, table_name: str | None = None, choice: ColumnChoice | None = None) -> None:
        self.search = TableSearch(source, table_name, choice or ColumnChoice())

    def plan(self) -> Plan | None:
        """The plan of the table that names the classes, or None if there is none.

        Raises UnreadableSource if it cannot be used, or if several could be meant, and InvalidOption for a chosen
        column that no table has.
        """
        split_file = self.search.split_file()
        if split_file is not None:
            self.search.check_choice()
            return self._plan_split(split_file)
        chosen = self.search.chosen()
        if not chosen:
            return None
        self.search.check_choice()
        return self._plan(chosen)

    def group(self, plan: Plan) -> Plan:
        """A plan made from folders with the groups that a table of the same images gives. Raises InvalidOption."""
        self.search.check_choice()
        unused = [e for e in self.search.unused() if e.n_found and not e.columns.groups]
        plan.notes += [f"'{printable(e.sheet.name)}' was not used: {e.cause}." for e in unused]
        read = {examined.sheet.name for examined in self.search.examined if examined.n_found}
        plan.problems = [problem for problem in plan.problems if problem.file not in read]
        self._add_groups(plan)
        return plan

    def refusal(self, error: UnreadableSource) -> UnreadableSource:
        """The cause that tables add to a layout that was not recognised; the error itself where they add none."""
        return self.search.refusal(error)

    def _plan_split(self, key: str) -> Plan:
        name = key.removeprefix(self.search.top)
        listing = parse_split(self.search.source.read(key), name)
        plan = Plan(listing.classes, [], listing.problems, listing.notes)
        self._add_rows(plan, listing, self.search.base([row.path for row in listing.rows]))
        plan.notes.insert(0, f"Classes and parts come from '{name}'.")
        self._add_groups(plan)
        return plan

    def _add_groups(self, plan: Plan) -> None:
        """Group the entries by a column, or say where their names look like patients and nothing groups them."""
        add_groups(plan, self.search)
        is_grouped = plan.grouped_by is not None or any(entry.group is not None for entry in plan.entries)
        if not is_grouped and not self.search.choice.is_ungrouped:
            hint = patient_hint([entry.name for entry in plan.entries])
            plan.notes += [hint] if hint else []

    def _plan(self, chosen: list[Examined]) -> Plan:
        """Entries of all chosen tables, classes put together."""
        listings = [list_rows(e.sheet, e.columns) for e in chosen]
        classes = list(dict.fromkeys(name for listing in listings for name in listing.classes))
        plan, index = Plan(classes, []), {name: label for label, name in enumerate(classes)}
        for examined, listing in zip(chosen, listings, strict=True):
            part = part_in(examined.sheet.name) if len(chosen) > 1 else None
            rank = [index[name] for name in listing.classes]
            listing.rows = [replace(row, label=rank[row.label], part=row.part or part) for row in listing.rows]
            plan.problems += listing.problems
            plan.notes += [*examined.sheet.notes, *listing.notes]
            self._add_rows(plan, listing, examined.base)
        self._check_found(plan, chosen)
        self._add_parts_of_folders(plan)
        self._name_unlisted(plan, chosen)
        names = " and ".join(f"'{printable(e.sheet.name)}'" for e in chosen)
        plan.notes[:0] = [f"Classes and parts come from {names}.", *_columns_said(chosen[0])]
        self._add_groups(plan)
        return plan

    def _add_rows(self, plan: Plan, listing: Listing, base: str) -> None:
        """Find the file of each row; rows without one, with several or with one that was taken are problems."""
        refused = {problem.file for problem in self.search.source.problems}
        claimed = {entry.key: entry for entry in plan.entries}
        matches = [(row, _of_part(self.search.index.find(row.path, base), row.part)) for row in listing.rows]
        sure = {key for _, match in matches if not match.is_loose for key in match.keys}
        for row, match in matches:
            match = Match() if match.is_loose and sure.intersection(match.keys) else match
            if match.rivals:
                plan.problems.append(_ambiguous(row, match))
            elif not match.keys and base + row.path not in refused:
                plan.problems.append(Problem(row.path, "missing_file", "a file at this path", "found none"))
            for key in match.keys:
                entry = self._entry(row, key, match)
                earlier = claimed.setdefault(key, entry)
                if earlier is entry:
                    plan.entries.append(entry)
                else:
                    plan.problems.append(_repeated(row, earlier))

    def _entry(self, row: Row, key: str, match: Match) -> Entry:
        """An entry; images of one listed folder (a study) belong together whatever else is known."""
        name = row.path if key.endswith(row.path) else key.removeprefix(self.search.top)
        group = row.path if match.is_folder else None
        return Entry(key, name, row.label, row.part, group, tuple(self.search.masks.get(key, ())))

    def _check_found(self, plan: Plan, chosen: list[Examined]) -> None:
        """Refuse a table of which no row names a file."""
        if plan.entries or not any(problem.problem == "missing_file" for problem in plan.problems):
            return
        examined = chosen[0]
        column = printable(examined.sheet.columns[examined.columns.path or 0])
        first = next(problem.file for problem in plan.problems if problem.problem == "missing_file")
        raise UnreadableSource(
            "Images that the table lists",
            f"none of the {len(examined.sheet.rows)} rows of '{printable(examined.sheet.name)}' names a file that is "
            f"here, first '{printable(first)}' in the column {column}",
            "Put the images beside the table, in folders if you like.",
        )

    def _add_parts_of_folders(self, plan: Plan) -> None:
        """Where the table says no part and every image lies below train, val or test: the part of its folder."""
        if not plan.entries or any(entry.part for entry in plan.entries):
            return
        parts = [_folder_part(entry.key) for entry in plan.entries]
        if None not in parts:
            plan.entries = [replace(e, part=part) for e, part in zip(plan.entries, parts, strict=True)]

    def _name_unlisted(self, plan: Plan, chosen: list[Examined]) -> None:
        """Name the images that no row mentions. Who points at a table on this machine may mean only a part of them."""
        if self.search.given is not None and isinstance(self.search.source, FolderSource):
            return
        mentioned = {entry.key for entry in plan.entries}
        for examined in chosen:
            for cell in examined.sheet.cells(examined.columns.path or 0):
                match = self.search.find(cell, examined.base)
                mentioned.update(match.keys, match.rivals)
        names = " or ".join(f"'{printable(e.sheet.name)}'" for e in chosen)
        plan.problems += [
            Problem(name.removeprefix(self.search.top), "unlisted", f"a row in {names}", "none names this image")
            for name in self.search.images
            if name not in mentioned and PurePosixPath(name).suffix.lower() in SUFFIXES
        ]


def _of_part(match: Match, part: Part | None) -> Match:
    """Of several files that fit, the one that lies in a folder of the row's part: each part may count from 1."""
    fitting = [key for key in match.rivals if part and _folder_part(key) == part]
    return Match((fitting[0],)) if len(fitting) == 1 else match


def _folder_part(key: str) -> Part | None:
    """The part of the first folder above a file that is one."""
    return next((part for folder in PurePosixPath(key).parts[:-1] if (part := folder_part(folder))), None)


def _columns_said(examined: Examined) -> list[str]:
    """A sentence about the columns, where they are not called path and label."""
    columns, names = examined.columns, examined.sheet.columns
    path = names[columns.path or 0]
    if columns.label is None or (plain(path) == "path" and plain(names[columns.label]) == "label"):
        return [] if columns.label is not None else [f"Its column {printable(path)} names the files."]
    return [f"Its column {printable(path)} names the files, {printable(names[columns.label])} the classes."]


def _ambiguous(row: Row, match: Match) -> Problem:
    shown = ", ".join(match.rivals[:3])
    return Problem(row.path, "ambiguous_file", "one file of this name", f"found {len(match.rivals)}: {shown}")


def _repeated(row: Row, earlier: Entry) -> Problem:
    same = (earlier.label, earlier.part) == (row.label, row.part)
    found = "listed again" if same else "listed again with another label or part; the first was kept"
    return Problem(row.path, "duplicate_name", "each image listed once", found)
