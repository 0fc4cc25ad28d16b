"""Our statistics against other people's software, on random data, to 1e-6."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch
from scipy import stats
from sklearn import metrics as sk
from statsmodels.formula.api import ols
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW
from torchmetrics.functional import classification as tm

from core.evaluation.intervals import t_interval, wilson_interval
from core.evaluation.metrics import metrics
from core.evaluation.over_sets import critical_difference, rank_test, wilcoxon_p
from core.evaluation.paired_tests import holm, mcnemar_mid_p, sign_flip_p
from core.evaluation.pseudo_values import measure
from core.evaluation.published import false_claim
from core.evaluation.two_part import components, two_part, two_part_p

SAME = {"abs": 1e-6, "rel": 1e-6}
CLASSES = 4


def made_up(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(n) % CLASSES)
    scores = draw.normal(size=(n, CLASSES)) + 1.2 * np.eye(CLASSES)[labels]
    # as single precision holds them, which is what torchmetrics computes in
    p = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)
    return p.astype(np.float64), labels


def of_pseudo_values(metric: str, p: np.ndarray, y: np.ndarray) -> float:
    return measure(metric, y, probabilities=p[None]).mean


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn(seed: int) -> None:
    p, y = made_up(seed)
    told, classes = p.argmax(axis=1), range(CLASSES)
    p_exact = p / p.sum(axis=1, keepdims=True)
    known = {
        "accuracy": sk.accuracy_score(y, told),
        "balanced_accuracy": sk.balanced_accuracy_score(y, told),
        "macro_f1": sk.f1_score(y, told, average="macro"),
        "kappa": sk.cohen_kappa_score(y, told),
        "quadratic_kappa": sk.cohen_kappa_score(y, told, labels=classes, weights="quadratic"),
        "auroc": sk.roc_auc_score(y, p_exact, multi_class="ovr", average="macro"),
        "brier": sk.brier_score_loss(y, p_exact, scale_by_half=False, labels=classes),
        "log_loss": sk.log_loss(y, p_exact, labels=classes),
    }
    assert {name: of_pseudo_values(name, p_exact, y) for name in known} == pytest.approx(known, **SAME)
    ours = metrics(p, y)
    assert {name: ours[name] for name in known if name in ours} == pytest.approx(
        {name: value for name, value in known.items() if name in ours}, **SAME
    )


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_torchmetrics(seed: int) -> None:
    p, y = made_up(seed)
    given, target = torch.tensor(p, dtype=torch.float32), torch.tensor(y)
    known = {
        "accuracy": tm.multiclass_accuracy(given, target, CLASSES, average="micro"),
        "balanced_accuracy": tm.multiclass_recall(given, target, CLASSES, average="macro"),
        "macro_f1": tm.multiclass_f1_score(given, target, CLASSES, average="macro"),
        "kappa": tm.multiclass_cohen_kappa(given, target, CLASSES),
        "auroc": tm.multiclass_auroc(given, target, CLASSES, thresholds=None),
        "ece": tm.multiclass_calibration_error(given, target, CLASSES, n_bins=15, norm="l1"),
    }
    assert metrics(p, y) == pytest.approx({name: float(value) for name, value in known.items()}, **SAME)
    quadratic = tm.multiclass_cohen_kappa(given, target, CLASSES, weights="quadratic")
    assert of_pseudo_values("quadratic_kappa", p, y) == pytest.approx(float(quadratic), **SAME)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (8, 10), (193, 236), (236, 236)])
def test_wilson_is_that_of_statsmodels_and_scipy(hits: int, n: int) -> None:
    found = wilson_interval(hits, n)
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, n, method="wilson"), **SAME)
    other = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((other.low, other.high), **SAME)


@pytest.mark.parametrize("seeds", [3, 5])
def test_t_over_seeds_is_that_of_statsmodels_and_scipy(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(0.7, 0.05, seeds)
    found = t_interval(values)
    assert (found.low, found.high) == pytest.approx(DescrStatsW(values).tconfint_mean(), **SAME)
    known = stats.t.interval(0.95, seeds - 1, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(known, **SAME)


@pytest.mark.parametrize(("seeds", "units"), [(3, 20), (5, 12)])
def test_both_parts_are_mean_squares_of_a_two_way_table(seeds: int, units: int) -> None:
    draw = np.random.default_rng(seeds)
    e = draw.normal(size=(seeds, units)) + draw.normal(size=units) + 0.3 * draw.normal(size=(seeds, 1))
    s, g = np.indices(e.shape).reshape(2, -1)
    frame = pd.DataFrame({"v": e.ravel(), "s": s, "g": g})
    squares = sm.stats.anova_lm(ols("v ~ C(s) + C(g)", frame).fit())["mean_sq"]
    _, draws, cases, least = components(e)
    rest = squares["Residual"]
    assert least == pytest.approx(rest / (units * seeds), **SAME)
    assert draws + cases == pytest.approx((squares["C(s)"] + squares["C(g)"] - rest) / (units * seeds), **SAME)
    assert cases == pytest.approx((squares["C(g)"] - rest) / (units * seeds), **SAME)
    assert draws == pytest.approx(squares["C(s)"] / (units * seeds), **SAME)


def test_the_two_part_p_solves_its_equation_as_scipy_does() -> None:
    from scipy.optimize import brentq

    found = two_part(np.random.default_rng(1).normal(0.2, 1, size=(3, 50)) + np.linspace(0, 1, 50))

    def excess(p: float) -> float:
        draws, cases = (stats.t.ppf(1 - p / 2, df) for df in (found.df_draws, found.df_cases))
        return draws**2 * found.v_draws + cases**2 * found.v_cases - found.mean**2

    known = brentq(excess, 1e-9, 1 - 1e-9, xtol=1e-14)
    given = found.mean, found.v_draws, found.v_cases, found.df_draws, found.df_cases
    assert float(two_part_p(*given)) == pytest.approx(known, **SAME)


@pytest.mark.parametrize(("b", "c"), [(25, 12), (3, 9), (1, 0), (40, 41)])
def test_mid_p_is_that_of_statsmodels(b: int, c: int) -> None:
    exact = mcnemar([[30, b], [c, 10]], exact=True).pvalue
    assert mcnemar_mid_p(b, c) == pytest.approx(exact - stats.binom.pmf(min(b, c), b + c, 0.5), **SAME)


@pytest.mark.parametrize("n", [6, 12])
def test_sign_flips_are_those_of_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.4, 1, n).round(1)
    known = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(d) == pytest.approx(known.pvalue, **SAME)


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).random(10) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], **SAME)


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_that_of_scipy(ties: bool) -> None:
    scores = np.random.default_rng(2).random((4, 7))
    scores = scores.round(1) if ties else scores
    found = rank_test({str(at): row for at, row in enumerate(scores)})
    assert found.chi2 == pytest.approx(stats.friedmanchisquare(*scores).statistic, **SAME)


def test_iman_and_davenports_f_is_that_of_a_two_way_table_of_ranks() -> None:
    scores = np.random.default_rng(3).random((4, 7))
    m, d = np.indices(scores.shape).reshape(2, -1)
    frame = pd.DataFrame({"r": stats.rankdata(-scores, axis=0).ravel(), "m": m, "d": d})
    table = sm.stats.anova_lm(ols("r ~ C(m) + C(d)", frame).fit())
    found = rank_test({str(at): row for at, row in enumerate(scores)})
    assert (found.f, found.p) == pytest.approx((table["F"]["C(m)"], table["PR(>F)"]["C(m)"]), **SAME)


def test_nemenyi_is_the_studentised_range_of_scipy() -> None:
    q = stats.studentized_range.ppf(0.95, 5, np.inf) / np.sqrt(2)
    assert critical_difference(5, 11) == pytest.approx(q * np.sqrt(5 * 6 / 66), **SAME)


@pytest.mark.parametrize("n", [6, 9, 20])
def test_wilcoxon_is_that_of_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.3, 1, n)
    assert wilcoxon_p(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue, **SAME)


def test_false_claims_are_tails_of_a_beta_distribution() -> None:
    known = stats.beta(0.1 * 236 + 1, 0.05 * 236 + 1).cdf(0.5)
    assert float(false_claim(236, 0.75, 0.70, 0.65)) == pytest.approx(known, **SAME)
