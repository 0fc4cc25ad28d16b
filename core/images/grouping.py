"""Which images belong together (one patient, one lesion), by a column of a table: taken, said, and never torn later."""

from __future__ import annotations

from dataclasses import replace

from core.images.archive import printable
from core.images.columns import find_column, plain
from core.images.manifest import group_value
from core.images.plan import Plan
from core.images.table_search import Examined, TableSearch


def add_groups(plan: Plan, search: TableSearch) -> None:
    """Give each entry its group, and say which column was taken and which look like an identity and were not.

    The column a person chose counts, else the coarsest recognised one, in whichever table of these images it stands.
    """
    candidates = search.candidates()
    if search.choice.is_ungrouped:
        plan.entries = [replace(entry, group=None) for entry in plan.entries]
        if candidates:
            column = candidates[0][1]
            plan.notes.append(
                f"Images are not grouped, as was asked; {printable(column.name)} would make {column.n_groups} groups."
            )
        return
    name = search.choice.group or (candidates[0][1].name if candidates else None)
    if name is not None:
        finer = {column.name for _, column in candidates if plain(column.name) != plain(name)}
        _group_by(plan, name, _groups(name, search), sorted(finer))
    for examined in search.examined:
        if examined.n_found:
            plan.notes += _unread_said(examined)


def _group_by(plan: Plan, name: str, groups: dict[str, str], others: list[str]) -> None:
    plan.entries = [replace(entry, group=groups.get(entry.key, entry.group)) for entry in plan.entries]
    plan.grouped_by = name
    found = [entry.group for entry in plan.entries if entry.group is not None]
    n_groups = len(set(found))
    if n_groups == len(found):
        return  # each image is alone, so that nothing can be torn
    also = f" ({', '.join(map(printable, others))} could group them too)" if others else ""
    plan.notes.append(f"Images are grouped by {printable(name)}: {n_groups} groups{also}.")
    alone = len(plan.entries) - len(found)
    if alone:
        plan.notes.append(f"Images without {printable(name)}, each standing alone: {alone}.")


def _groups(name: str, search: TableSearch) -> dict[str, str]:
    """{file: group} from the columns of this name."""
    groups: dict[str, str] = {}
    for examined in search.examined:
        column = find_column(examined.sheet, name)
        if column is None or examined.columns.path is None:
            continue
        paths = examined.sheet.cells(examined.columns.path)
        for path, written in zip(paths, examined.sheet.cells(column), strict=True):
            group = group_value(written)
            for key in search.find(path, examined.base).keys if group else ():
                groups.setdefault(key, str(group))
    return groups


def _unread_said(examined: Examined) -> list[str]:
    return [
        f"The column {printable(name)} of '{printable(examined.sheet.name)}' looks like an identity and is not used. "
        "If it tells patients apart, choose it as the group."
        for name in examined.columns.unread
    ]
