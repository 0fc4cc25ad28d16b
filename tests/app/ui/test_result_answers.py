"""The answers with which the browser tests feed the result pages have the shapes the API promises."""

from __future__ import annotations

from typing import Any

import pytest

from app.api import schemas

answers = pytest.importorskip("tests.browser.answers")

ANSWERS: list[tuple[type[schemas.Answer], Any]] = [
    (schemas.ImageSet, answers.IMAGE_SET),
    (schemas.Image, answers.IMAGE),
    (schemas.MethodWithOptions, answers.METHOD),
    *[(schemas.Method, card) for card in answers.METHODS],
    (schemas.Recipe, answers.RECIPE),
    (schemas.RecipeInFull, answers.RECIPE_IN_FULL),
    (schemas.FollowedRecipe, answers.FOLLOWED),
    *[(schemas.Backbone, row) for row in answers.BACKBONES],
    (schemas.DescriptionSet, answers.DESCRIPTIONS),
    *[(schemas.Job, answers.job(state)) for state in ("queued", "running", "succeeded", "failed", "cancelled")],
    *[(schemas.Run, answers.run(state)) for state in ("running", "succeeded", "cancelled")],
    (schemas.Comparison, answers.comparison()),
    (schemas.RunSummary, answers.SUMMARY),
    (schemas.AnsweredImage, answers.MISTAKEN),
    *[(schemas.Experiment, answers.experiment(protocol=protocol)) for protocol in answers.PROTOCOLS],
    (schemas.Experiment, answers.in_progress("ddrwf")),
    (schemas.ExperimentInShort, answers.experiment_in_short()),
    *[(schemas.ExperimentCell, cell) for cell in (*answers.cells()[:2], answers.FAILED_CELL)],
    (schemas.PairMatrix, answers.matrix()),
    (schemas.ExperimentEstimate, answers.ESTIMATE),
    (schemas.Model, answers.MODEL),
    (schemas.Classification, answers.CLASSIFICATION),
    (schemas.ClassificationInShort, answers.CLASSIFICATION_IN_SHORT),
    (schemas.Explanation, answers.EXPLANATION),
]


@pytest.mark.parametrize(("shape", "answer"), ANSWERS, ids=lambda value: getattr(value, "__name__", "answer"))
def test_each_answer_fits_its_schema(shape: type[schemas.Answer], answer: Any) -> None:
    shape.model_validate(answer)
