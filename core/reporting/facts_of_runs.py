"""Facts of a study's runs: methods, training, numbers, and what is kept of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.intervals import wilson_interval
from core.evaluation.metrics import METRICS
from core.evaluation.model_intervals import small_classes
from core.experiments.joined_notes import joined_notes
from core.reporting.fact_words import (
    MOST_LISTED,
    listed,
    methods_of,
    number,
    percent,
    sets_here,
    span,
    temperatures,
    values_of,
)
from core.reporting.facts_of_images import ARTEFACTS
from core.reporting.study import Study, amount_words


def _technique(study: Study) -> str:
    if not study.runs:
        return ""
    classes = max((run["classes"] for run in study.runs), key=len)
    return (
        f"{listed(methods_of(study))}: tuning of the dual encoder {listed(values_of(study, 'backbone'))} with few "
        f"labelled images, to classify whole images into {len(classes)} classes ({listed(classes)})."
    )


def answers(study: Study) -> list[str]:
    """The result of each image set in words."""
    return [
        f"{group['image_set']['name']}, {amount_words(group)}: {_value(row)}. {group['verdict']['sentence']}".strip()
        for group, row in study.leading
    ]


def _answer(study: Study) -> str:
    return " ".join(answers(study))


def _aims(study: Study) -> str:
    if study.spec is None:
        return ""
    against = study.spec.get("compare_to")
    held = (
        f"the line '{against}' was chosen before the start to hold the others against"
        if against
        else ("all pairs of lines are compared")
    )
    return f"The primary metric, set before the start, is {_metric(study)}; {held}. Protocol: {study.spec['protocol']}."


def _preprocessing(study: Study) -> str:
    shown = Counter(
        "stretched by its own range" if image.windowing else "as stored, 8 bits a sample"
        for of, images in sets_here(study)
        for image in images.images
    )
    if not study.runs:
        return ""
    views = sorted({run["options"]["views"] for run in study.runs if run["options"].get("views")})
    crops = sorted({str(run["options"]["augmentation"]) for run in study.runs if run["options"].get("augmentation")})
    ranges = f" Grey values: {', '.join(f'{text} ({n})' for text, n in shown.items())}." if shown else ""
    trained = f" For training: augmentation {listed(crops)}" if crops else ""
    trained += f", {listed(map(str, views))} augmented views of each image" if crops and views else ""
    sums = listed(each[:16] for each in values_of(study, "backbone_checksum"))
    return (
        "Pictures are made three channels of 8 bits and upright, then resized, cropped and normalised as the "
        f"backbone's own configuration says (checksum {sums})."
        f"{ranges}{trained}{'.' if trained else ''}"
    )


def _sample_size(study: Study) -> str:
    told = []
    for group in study.groups:
        matrix = (group.get("details") or {}).get("matrix") or {}
        if matrix.get("visible_sentence"):
            told.append(f"{group['image_set']['name']}, {amount_words(group)}: {matrix['visible_sentence']}")
    return " ".join(told)


def _model(study: Study) -> str:
    papers = [
        f"{card['title']}: trains {card['trains']} ({(card.get('paper') or 'no paper').rstrip('.')})."
        for card in study.cards.values()
    ]
    sizes = Counter((run["method_title"], run["trainable_parameters"]) for run in study.runs)
    numbers = [f"{title} {number(size)}" for title, size in sizes if size is not None]
    return " ".join([*papers, f"Parameters trained by steps: {listed(numbers)}."]) if papers else ""


def _software(study: Study) -> str:
    versions = sorted({f"{name} {version}" for run in study.runs for name, version in (run["versions"] or {}).items()})
    if not versions:
        return ""
    devices, kinds = values_of(study, "device"), values_of(study, "precision")
    return f"{', '.join(versions)}. Device: {listed(devices)}; arithmetic: {listed(kinds) or 'not recorded'}."


def _initial_weights(study: Study) -> str:
    known = sorted({name for run in study.runs for name in run["known_classes"] or ()})
    pairs = sorted({(run["backbone"], run["backbone_checksum"] or "") for run in study.runs})
    if not pairs:
        return ""
    weights = "; ".join(f"backbone {name}, checksum of its weights {checksum[:16]}" for name, checksum in pairs)
    learned = (
        f"Its text side had learned from labelled images: {listed(known)}"
        if known
        else ("None of these classes is among those that its text side is known to have learned")
    )
    return f"Pretrained {weights}. {learned}. Learned parts start as the options of each method say."


def _training(study: Study) -> str:
    told = []
    for title in methods_of(study):
        runs = [run for run in study.runs if run["method_title"] == title]
        epochs, steps = (span(sorted({run[name] for run in runs if run[name]})) for name in ("epochs", "steps"))
        length = f"{epochs} epochs, {steps} steps" if epochs else f"{steps} steps" if steps else "no steps"
        recipes = sorted({_recipe(run["recipe"]) for run in runs if run["recipe"]})
        follows = f", after {listed(recipes)}" if recipes else ""
        told.append(f"{title}: {length}{follows}.")
    texts = values_of(study, "descriptions")
    seeds = sorted({run["seed"] for run in study.runs})
    end = f"Class descriptions: {listed(texts)}. Seeds: {listed(map(str, seeds))}. All options stand below Settings."
    return " ".join([*told, end]) if told else ""


def _selection(study: Study) -> str:
    if not study.runs:
        return ""
    chosen = sorted({what for run in study.runs for what in (run["calibration"] or {}).get("also_chose") or ()})
    tuned = listed(chosen) or "nothing but a temperature, if that"
    return (
        f"The test part chooses nothing. Validation images chose {tuned}. Where no epoch or step is named among this, "
        f"the weights after the last are taken, or those that the method's options name; {temperatures(study)}"
    )


def _metrics(study: Study) -> str:
    words = "; ".join(f"{metric.title}: {metric.help.split('. ')[0].rstrip('.')}" for metric in METRICS.values())
    return f"{words}. Ranked by {_metric(study)}." if study.runs else ""


def _uncertainty(study: Study) -> str:
    kinds = sorted(
        {
            f"{row['interval']} over {row['over']}" if row["over"] else row["interval"]
            for group in study.groups
            for row in group["rows"]
            if not row["missing"]
        }
    )
    tests = max(((group.get("details") or {}).get("matrix") or {}).get("n_tests", 0) for group in study.groups or [{}])
    paired = f" Methods are compared in pairs on the same images; p by Holm over up to {tests} pairs." if tests else ""
    return f"95 % intervals: {listed(kinds)}.{paired}" if kinds else ""


def _robustness(study: Study) -> str:
    if not study.runs:
        return ""
    seeds = sorted({run["seed"] for run in study.runs})
    amounts = list(dict.fromkeys(amount_words(run) for run in study.runs))
    texts = values_of(study, "descriptions")
    return (
        f"Draws of training images: {len(seeds)} seeds. Numbers of labels: {listed(amounts)}. Wordings of the class "
        f"descriptions: {len(texts)}. Degraded images and other devices were not part of these runs."
    )


def _explainability(study: Study) -> str:
    if not study.explained:
        return ""
    return f"{study.explained} explanations by maps are recorded of these models, with checks against chance."


def _performance(study: Study) -> str:
    return " ".join(
        f"{group['image_set']['name']}, {amount_words(group)}: {_value(row)}." for group, row in study.leading
    )


def _per_class(study: Study) -> str:
    told = []
    for group, row in study.leading:
        runs = _runs_of(study, row)
        counts = [f"{each['class']} {_recall(each)}" for each in _class_rows(group, row)]
        if counts:
            told.append(
                f"{group['image_set']['name']}, {row['method_title']}: recall, mean of seeds, with the 95 % Wilson "
                f"interval of these models over new images, taken as independent: {'; '.join(counts)}."
            )
        told += _few(runs)
    return " ".join(told)


def _failures(study: Study) -> str:
    told = []
    for gallery in study.galleries:
        pairs = ", ".join(
            f"{each['label']} taken for {each['predicted']} ({each['n']})" for each in gallery["pairs"][:5]
        )
        told.append(
            f"{gallery['image_set']}, {gallery['row']}: {gallery['wrong']} of {gallery['n']} images wrong in most seeds"
            f"{'; ' + pairs if pairs else ''}."
        )
    return " ".join(told)


def _run_notes(study: Study) -> str:
    # what is said of the pictures may name files, and those may name patients
    of_sets = {note for _, images in sets_here(study) for note in images.notes}
    own = ([note for note in run["notes"] or () if note not in of_sets] for run in study.runs)
    return " ".join(joined_notes(own)[:MOST_LISTED])


def _repeat(study: Study) -> str:
    return (
        "`promptoscope bundle export` writes settings, splits, hashes and answers in a file that repeats every run; "
        "code: promptoscope, Apache-2.0. Models lie as folders with the SHA-256 of their weights."
        if study.runs
        else ""
    )


def _outcome(study: Study) -> str:
    if not study.runs:
        return ""
    classes = max((run["classes"] for run in study.runs), key=len)
    return f"One class for each image, of {len(classes)}: {listed(classes)}; labels came with the images."


def _predictors(study: Study) -> str:
    return "The only predictor is the picture itself; no other variable enters." if study.runs else ""


def _updating(study: Study) -> str:
    return f"Nothing is refitted after it was measured; {temperatures(study)}" if study.runs else ""


def _predicting(study: Study) -> str:
    if not study.runs:
        return ""
    return (
        "Softmax over scores of all classes, divided by the temperature of the run; `promptoscope predict` gives the "
        "same for other images."
    )


def _output(study: Study) -> str:
    if not study.runs:
        return ""
    return (
        "A probability for each class. The class of the highest probability is the answer, a rule set before any "
        f"training; no other threshold is used; {temperatures(study)}"
    )


def _full_model(study: Study) -> str:
    models = [run for run in study.runs if run["model_id"]]
    if not models:
        return ""
    return (
        f"{len(models)} of {len(study.runs)} models are kept, each a folder with learned tensors, options and class "
        "order; a model is that folder and the backbone whose checksum it names."
    )


def _poor_input(study: Study) -> str:
    return (
        f"{ARTEFACTS.capitalize()}; pictures that lack something (one grey value, very small) are told."
        if study.runs
        else ""
    )


def _cross_table(study: Study) -> str:
    return (
        "The tables of true and predicted classes stand below Confusion."
        if any(run["confusion"] for run in study.runs)
        else ""
    )


def _audit(study: Study) -> str:
    answers = sum(run["n_test"] or 0 for run in study.runs)
    if not answers:
        return ""
    return (
        f"The probabilities of {answers:,} answers on test images are stored with image hash, label and run; "
        f"{study.audited} entries of the audit trail concern these runs."
    )


def _variability(study: Study) -> str:
    if study.spec is None:
        return ""
    differ = [f"{name} {listed(map(str, study.spec[name]))}" for name in ("shots", "seeds") if study.spec.get(name)]
    return f"Planned in the experiment before its first cell ran: {'; '.join(differ)}; intervals tell draws from cases."


def _indeterminate(study: Study) -> str:
    return (
        "The index test names a class for every readable image: no answer is indeterminate, none was left out."
        if study.runs
        else ""
    )


def _blinding(study: Study) -> str:
    return (
        "The program sees the pixels alone, no label of the test part and nothing else of the patient."
        if study.runs
        else ""
    )


def _value(row: Mapping[str, Any]) -> str:
    between = "no interval: " + str(row["interval"]).removeprefix("none: ")
    if row["low"] is not None and row["high"] is not None:
        between = f"95 % interval {100 * row['low']:.1f} to {100 * row['high']:.1f} over {row['over']}"
    n = f", {row['n_test']} test images" if row.get("n_test") else ""
    draws = f"{row['n_seeds']} {'seed' if row['n_seeds'] == 1 else 'seeds'}"
    return f"{row['method_title']} has a balanced accuracy of {percent(row['mean'])} ({between}; {draws}{n})"


def _class_rows(group: Mapping[str, Any], row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    from core.evaluation.group_details import row_name

    found = (group.get("details") or {}).get("per_class") or ()
    return [each for each in found if each["row"] == row_name(row)]


def _recall(found: Mapping[str, Any]) -> str:
    """A class's recall with its interval: that of one seed, which is never narrower than that of their mean."""
    shown = wilson_interval(round(found["recall"] * found["n"]), found["n"])
    between = "" if shown.low is None or shown.high is None else f" ({100 * shown.low:.1f} to {100 * shown.high:.1f})"
    return f"{percent(found['recall'])} of {found['n']}{between}"


def _few(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on classes of which there are few test images."""
    import numpy as np

    known = next((run for run in runs if run["confusion"]), None)
    if known is None:
        return []
    table = np.asarray(known["confusion"], dtype=np.int64)
    names = known["classes"] if len(known["classes"]) == len(table) else [str(at) for at in range(len(table))]
    return small_classes(np.repeat(np.arange(len(table)), table.sum(axis=1)), names)


def _runs_of(study: Study, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [run for run in study.runs if run["id"] in row["run_ids"]]


def _metric(study: Study) -> str:
    return str((study.spec or {}).get("metric") or "balanced_accuracy").replace("_", " ")


def _recipe(recipe: Mapping[str, Any]) -> str:
    changes = len(recipe.get("deviations") or ())
    return f"the recipe {recipe['name']} with {changes} {'deviation' if changes == 1 else 'deviations'}"


FACTS_OF_RUNS = {
    "technique": _technique,
    "answer": _answer,
    "aims": _aims,
    "preprocessing": _preprocessing,
    "sample_size": _sample_size,
    "model": _model,
    "software": _software,
    "initial_weights": _initial_weights,
    "training": _training,
    "selection": _selection,
    "metrics": _metrics,
    "uncertainty": _uncertainty,
    "robustness": _robustness,
    "explainability": _explainability,
    "performance": _performance,
    "per_class": _per_class,
    "failures": _failures,
    "run_notes": _run_notes,
    "repeat": _repeat,
    "outcome": _outcome,
    "predictors": _predictors,
    "updating": _updating,
    "predicting": _predicting,
    "output": _output,
    "full_model": _full_model,
    "poor_input": _poor_input,
    "cross_table": _cross_table,
    "audit": _audit,
    "variability": _variability,
    "indeterminate": _indeterminate,
    "blinding": _blinding,
}
"""Facts by the names that checklists give them."""
