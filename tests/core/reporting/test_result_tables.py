"""Tables leave the page as CSV that no spreadsheet computes, and as LaTeX that means what it says."""

from __future__ import annotations

import csv
import io

from core.reporting.result_tables import csv_text, latex_text


def test_csv_reads_back_and_formulas_are_texts():
    rows = [("=1+1", "-0.25"), ('a "b", c', "@x")]
    found = list(csv.reader(io.StringIO(csv_text(("One", "Two"), rows))))
    assert found == [["One", "Two"], ["'=1+1", "-0.25"], ['a "b", c', "'@x"]]


def test_latex_escapes_its_own_signs():
    text = latex_text(("A", "B"), [("50 % of x_1 & y\\z", "{~^#$}")])
    assert text.splitlines() == [
        r"\begin{tabular}{ll}",
        r"\hline",
        r"A & B \\",
        r"\hline",
        r"50 \% of x\_1 \& y\textbackslash{}z & \{\textasciitilde{}\textasciicircum{}\#\$\} \\",
        r"\hline",
        r"\end{tabular}",
    ]
