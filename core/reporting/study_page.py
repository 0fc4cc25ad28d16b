"""The report of a study as one HTML file that loads nothing: answer, results, data, failures, settings, checklist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from core.evaluation.group_details import row_name
from core.evaluation.report_page import RESEARCH_USE, bullets, group_section, html_page, settings_section, table
from core.reporting.checklist import Checklist, Item
from core.reporting.facts import SECTIONS
from core.reporting.facts_of_runs import answers
from core.reporting.failures import RULE
from core.reporting.flow import data_flow, draws, flow_sentence
from core.reporting.flow_drawing import flow_drawing
from core.reporting.result_tables import CELL_COLUMNS, RESULT_COLUMNS, cell_rows, flow_rows, result_rows
from core.reporting.study import Study, amount_words

Picture = Callable[[Mapping[str, Any]], str | None]
"""From an image of a gallery to a data URI of a small copy; None where there is none."""
STYLE = (
    ".blank{color:#b00020;font-weight:600}@media (prefers-color-scheme:dark){.blank{color:#ff8a80}}"
    ".flow rect{fill:none;stroke:currentColor}.flow path{stroke:currentColor;fill:none}"
    "figure{display:inline-block;margin:.3rem;max-width:11rem;vertical-align:top;font-size:.85em}"
    "figure img{max-width:160px;max-height:160px;display:block}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
    ".items td:nth-child(2){min-width:12rem}h1,h2,h3,p,li,dd{overflow-wrap:anywhere}"
    "nav{display:flex;flex-wrap:wrap;gap:.3rem 1rem}table{break-inside:auto}tr{break-inside:avoid}"
    "@media (max-width:40rem){.items thead{display:none}"
    ".items :is(tr,th,td){display:block;min-width:0}}"
    "@media print{body{max-width:none;margin:0}a{color:inherit;text-decoration:none}@page{size:A4;margin:15mm}}"
)
PARTS = {
    "answer": "Answer",
    "results": "Results",
    "data": "Data and flow",
    "confusion": "Confusion",
    "failures": "Failures",
    "repeat": "Settings",
    "checklist": "Checklist",
    "cells": "Every run",
}
WITHOUT_IMAGES = (
    "No image and no file name is in this file; images are named by the first 12 digits of their SHA-256. Make the "
    "report with --with-images to see small copies: the file is then patient data."
)
WITH_IMAGES = (
    "This file holds small copies of images and their file names: it is patient data, share it as you would them."
)


def study_page(study: Study, checklist: Checklist, picture: Picture | None = None) -> str:
    """The page. picture: where small copies of images are wanted."""
    is_draft = checklist.count("blank") + checklist.count("partly") > 0 or _leaks(study)
    title = f"{'Draft report' if is_draft else 'Report'}: {study.name} ({checklist.title})"
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in PARTS.items())
    body = (
        f"<h1>{escape(title)}</h1>{RESEARCH_USE}<p>{escape(WITH_IMAGES if picture else WITHOUT_IMAGES)}</p>"
        f"<p><strong>{escape(checklist.sentence)}</strong> {escape(checklist.source)}.</p><nav>{links}</nav>"
        f"{_answer(study, checklist)}{_results(study)}{_data(study)}{_confusion(study)}"
        f"{_failures(study, picture)}{_settings(study)}{_checklist(checklist)}{_cells(study)}"
    )
    return html_page(title, body, STYLE)


def _heading(anchor: str) -> str:
    return f'<h2 id="{anchor}">{PARTS[anchor]}</h2>'


def _answer(study: Study, checklist: Checklist) -> str:
    sentences = answers(study)
    known = sorted({name for group in study.groups for name in group.get("known_classes") or ()})
    warnings = sorted({warning for group in study.groups for warning in group["warnings"]})
    if known:
        warnings.append(f"The backbone had learned these classes before: {', '.join(known)}.")
    failed = sum(cell["state"] == "failed" for cell in study.cells)
    left = sum(cell["state"] in ("waiting", "running") for cell in study.cells)
    warnings += [f"{failed} cells failed."] * bool(failed) + [f"{left} cells are not finished."] * bool(left)
    blanks = "".join(
        f'<li><a class="blank" href="#item-{escape(item.number)}">{escape(item.number)}</a> {escape(item.blank)}</li>'
        for item in checklist.items
        if item.state in ("blank", "partly")
    )
    missing = (
        f"<details><summary class=blank>Still to be written</summary><ul>{blanks}</ul></details>" if blanks else ""
    )
    none = "" if sentences else "<p class=blank>No run is finished: there is nothing to report yet.</p>"
    return f"{_heading('answer')}{none}{bullets(sentences)}{bullets(warnings, 'warn')}{missing}"


def _checklist(checklist: Checklist) -> str:
    rows = "".join(_item(item) for item in checklist.items)
    head = "".join(
        f"<th scope=col>{text}</th>" for text in ("Item", "Asks", "State", "What is known, and what is missing")
    )
    return (
        f"{_heading('checklist')}<p>Numbers are those of the guideline, questions are in our own words: fill the "
        "publisher's form for a journal. Sentences are made from what is recorded; nothing that a person has to say "
        f"is ticked.</p><div class=wide><table class=items>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _item(item: Item) -> str:
    told = "".join(f"<p>{escape(sentence)}{_link(name)}</p>" for name, sentence in item.facts)
    told += f'<p class="blank">[{escape(item.blank)}]</p>' if item.blank and not item.reason else ""
    told += f"<p>{escape(item.reason)}</p>" if item.reason else ""
    return (
        f'<tr id="item-{escape(item.number)}"><th scope=row>{escape(item.number)}</th><td>{escape(item.asks)}</td>'
        f"<td{' class=blank' if item.state == 'blank' else ''}>{item.state}</td><td>{told}</td></tr>"
    )


def _link(fact: str) -> str:
    anchor = SECTIONS.get(fact)
    return f' <a href="#{anchor}">{PARTS[anchor]}</a>' if anchor else ""


def _results(study: Study) -> str:
    rows = table(RESULT_COLUMNS, result_rows(study))
    return f"{_heading('results')}{rows}{''.join(group_section(group) for group in study.groups)}"


def _data(study: Study) -> str:
    told = []
    for each in study.sets:
        told.append(f"<h3>{escape(each.name)}</h3>")
        if each.images is None:
            told.append("<p class=blank>The image set was deleted: its flow is not known any more.</p>")
            continue
        flow, drawn = data_flow(each.images), draws(study, each.name)
        told.append(f"<p>{escape(flow_sentence(flow))}</p>{flow_drawing(each.name, flow, drawn)}")
    return f"{_heading('data')}{''.join(told)}{table(('Set', 'Step', 'Class or reason', 'Images'), flow_rows(study))}"


def _confusion(study: Study) -> str:
    told = []
    for group, row in study.leading:
        runs = [run for run in study.runs if run["id"] in row["run_ids"] and run["confusion"]]
        if not runs:
            continue
        sums = [
            [sum(cells) for cells in zip(*lines, strict=True)]
            for lines in zip(*(r["confusion"] for r in runs), strict=True)
        ]
        names = _measured_classes(runs[0])
        body = [(name, *map(str, line)) for name, line in zip(names, sums, strict=True)]
        title = f"{group['image_set']['name']}: {row_name(row)}, {amount_words(group)}, sum of {len(runs)} seeds"
        told.append(f"<h3>{escape(title)}</h3>{table(('True class', *names), body)}")
    return f"{_heading('confusion')}{''.join(told)}"


def _measured_classes(run: Mapping[str, Any]) -> Sequence[str]:
    ranked: Mapping[str, Any] = next(iter((run.get("parts") or {}).values()), {})
    return ranked.get("classes") or run["classes"]


def _failures(study: Study, picture: Picture | None) -> str:
    told = [f"<p>{escape(RULE)}</p>"]
    for gallery in study.galleries:
        title = f"{gallery['image_set']}: {gallery['row']}, {gallery['amount']}"
        told.append(
            f"<h3>{escape(title)}</h3><p>{gallery['wrong']} of {gallery['n']} images are wrong in most seeds.</p>"
            f"{_shown('Most confident errors', gallery['confident'], picture)}"
        )
        for pair in gallery["pairs"]:
            name = f"{pair['label']} taken for {pair['predicted']}, {pair['n']} images"
            told.append(_shown(name, pair["images"], picture))
        told.append(_shown("Wrong in every run of every method: is the label right?", gallery["in_all"], picture))
        told.append(
            _shown("Right in all seeds, in the order of their hash, to compare with", gallery["right"], picture)
        )
    return f"{_heading('failures')}{''.join(told)}"


def _shown(title: str, images: Sequence[Mapping[str, Any]], picture: Picture | None) -> str:
    if not images:
        return ""
    if picture is None:
        body = [(short_name(each), *_facts(each)) for each in images]
        return f"<h4>{escape(title)}</h4>{table(('Image', 'True', 'Taken for', 'Probability', 'Seeds wrong'), body)}"
    figures = []
    for each in images:
        label, predicted, probability, wrong = _facts(each)
        words = f"{label}, taken for {predicted} at {probability}; wrong in {wrong}"
        data = picture(each)
        image = f'<img src="{data}" alt="{escape(words, quote=True)}">' if data else "<p>The image is not here.</p>"
        figures.append(f"<figure>{image}<figcaption>{escape(words)}<br>{escape(each['file'])}</figcaption></figure>")
    return f"<h4>{escape(title)}</h4>{''.join(figures)}"


def short_name(image: Mapping[str, Any]) -> str:
    """An image without its file name, which may hold a patient's."""
    return (image["sha256"] or "unknown")[:12]


def _facts(image: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return image["label"], image["predicted"], f"{image['probability']:.3f}", f"{image['wrong']} of {image['of']}"


def _settings(study: Study) -> str:
    versions = sorted({pair for run in study.runs for pair in (run["versions"] or {}).items()})
    sums = [(each.name, each.fingerprint) for each in study.sets]
    return (
        f"{_heading('repeat')}{settings_section(study.groups)}<h3>{study.kind.capitalize()}</h3>"
        f"<pre>{escape(study.settings)}</pre><h3>Image sets</h3>{table(('Image set', 'Fingerprint'), sums)}"
        f"<h3>Versions</h3>{table(('Program', 'Version'), versions)}"
    )


def _cells(study: Study) -> str:
    return f"{_heading('cells')}{table(CELL_COLUMNS, cell_rows(study))}"


def _leaks(study: Study) -> bool:
    leaks = [group.get("leakage") or {} for group in study.groups]
    return any(leak.get("found") or leak.get("allowed") for leak in leaks)
