"""The tables of a report as rows of texts, and as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.group_details import row_name
from core.reporting.checklist import Checklist
from core.reporting.flow import data_flow, draws
from core.reporting.study import Study, amount_words

RESULT_COLUMNS = ("Images", "Trained on", "Line", "Metric", "Mean", "Low", "High", "Interval", "Seeds", "Test images")
CELL_COLUMNS = (
    "Images",
    "Line",
    "Trained on",
    "Seed",
    "State",
    "Balanced accuracy",
    "Accuracy",
    "AUROC",
    "Run or reason",
)
CHECKLIST_COLUMNS = ("Item", "Asks", "State", "Known", "Still to be written")
FLOW_COLUMNS = ("Set", "Step", "Class or reason", "Images")
FAILURE_COLUMNS = ("Set", "Line", "List", "Image", "True", "Taken for", "Probability", "Seeds wrong", "Seeds")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
Rows = list[tuple[str, ...]]


def result_rows(study: Study) -> Rows:
    """The experiment's own rows, else those of the comparison. Values are fractions."""
    if study.rows:
        return [_experiment_row(row) for row in study.rows]
    return [_compared_row(group, row) for group in study.groups for row in group["rows"] if not row["missing"]]


def _experiment_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    head = (row["image_set"] or "mean over sets", amount_words(row), row["line"], row["metric"].replace("_", " "))
    ends = tuple(_value(row[name]) for name in ("mean", "low", "high"))
    return (*head, *ends, row["interval"], str(row["n_seeds"]), _n_test(row))


def _n_test(row: Mapping[str, Any]) -> str:
    known = [str(each["n_test"]) for each in row["parts"].values() if each.get("n_test")]
    return ", ".join(known) or (str(row["n_units"]) if row.get("units") == "images" else "")


def _compared_row(group: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, ...]:
    head = (group["image_set"]["name"], amount_words(group), row_name(row), "balanced accuracy")
    ends = tuple(_value(row[name]) for name in ("mean", "low", "high"))
    over = f"{row['interval']} over {row['over']}" if row["over"] else row["interval"]
    return (*head, *ends, over, str(row["n_seeds"]), str(row["n_test"] or ""))


def cell_rows(study: Study) -> Rows:
    """Every cell of an experiment, done or not and why; of a run alone, the run."""
    if not study.cells:
        return [_run_row(run) for run in study.runs]
    return [_cell_row(cell) for cell in study.cells]


def _run_row(run: Mapping[str, Any]) -> tuple[str, ...]:
    place = (run["image_set"]["name"], run["method_title"], amount_words(run), str(run["seed"]))
    return (*place, "done", *_numbers(run["metrics"]), run["id"])


def _cell_row(cell: Mapping[str, Any]) -> tuple[str, ...]:
    place = (cell["image_set"], cell["line"], amount_words(cell), str(cell["seed"]))
    return (*place, cell["state"], *_numbers(cell["metrics"]), _reason(cell))


def _numbers(metrics: Mapping[str, Any] | None) -> tuple[str, str, str]:
    balanced, plain, auroc = (_value((metrics or {}).get(n)) for n in ("balanced_accuracy", "accuracy", "auroc"))
    return balanced, plain, auroc


def _reason(cell: Mapping[str, Any]) -> str:
    return cell["run"] or (cell["error"] or {}).get("message", "")


def flow_rows(study: Study) -> Rows:
    """Numbers of the flow diagrams, one a row."""
    rows: Rows = []
    for each in study.sets:
        if each.images is None:
            continue
        flow = data_flow(each.images)
        rows += [(each.name, "received", "", str(flow["received"]))]
        rows += [(each.name, "refused", reason, str(n)) for reason, n in flow["refused"].items()]
        rows += [(each.name, "usable", "", str(flow["usable"])), (each.name, "copies, kept", "", str(flow["copies"]))]
        for part, counts in flow["parts"].items():
            rows += [(each.name, part, name, str(n)) for name, n in counts["classes"].items()]
            rows += [(each.name, f"{part}, groups", "", str(counts["groups"]))]
        for draw in draws(study, each.name):
            place = f"{draw['amount']}, "
            steps = ("train", "validation", "distinct_train", "distinct_validation", "tested")
            rows += [
                (each.name, f"{place}{step.replace('_', ' ')}", "", str(draw[step]))
                for step in steps
                if draw[step] is not None
            ]
    return rows


def checklist_rows(checklist: Checklist) -> Rows:
    """Each item with its state."""
    return [
        (item.number, item.asks, item.state, " ".join(text for _, text in item.facts) or item.reason, item.blank)
        for item in checklist.items
    ]


def failure_rows(study: Study) -> Rows:
    """Every image of the galleries, named by its hash."""
    rows: Rows = []
    for gallery in study.galleries:
        lists = [("most confident", gallery["confident"]), ("wrong in all", gallery["in_all"])]
        lists += [(f"{pair['label']} taken for {pair['predicted']}", pair["images"]) for pair in gallery["pairs"]]
        place = (gallery["image_set"], gallery["row"])
        rows += [(*place, name, *_failure(each)) for name, images in lists for each in images]
    return rows


def _failure(image: Mapping[str, Any]) -> tuple[str, ...]:
    named = (image["sha256"] or "", image["label"], image["predicted"])
    return (*named, f"{image['probability']:.4f}", str(image["wrong"]), str(image["of"]))


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as CSV; texts that a spreadsheet would take for a formula begin with an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return file.getvalue()


def latex_text(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: str = "") -> str:
    """The table as a LaTeX tabular that needs no package. widths: of its columns; left-aligned without."""
    lines = [" & ".join(map(latex_escaped, row)) + r" \\" for row in (columns, *rows)]
    body = "\n".join([lines[0], r"\hline", *lines[1:]])
    return f"\\begin{{tabular}}{{{widths or 'l' * len(columns)}}}\n\\hline\n{body}\n\\hline\n\\end{{tabular}}\n"


def latex_escaped(text: str) -> str:
    """A text whose signs mean nothing to LaTeX."""
    return "".join(LATEX.get(sign, sign) for sign in text.replace("\n", " "))


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
