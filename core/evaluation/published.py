"""Our number beside a published one: how probable it is that the order of the two is wrong.

Of n images let the better accuracy be a, the other b, and g the share both get right. With x1 = n (a - g) images that
only the better got right and x2 = n (b - g) that only the other did, the shares behind them have the posterior
Dirichlet(x1 + 1, x2 + 1, rest + 1), and the first is not the larger one with probability I_1/2(x1 + 1, x2 + 1), the
regularised incomplete beta function at 1/2. Source: Christodoulou et al., arXiv 2505.04720. Accuracy on one data set
only; the spread over draws is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InvalidInput

LEVEL = 0.05


def false_claim(n: int, better: float, worse: float, both: Any) -> np.ndarray:
    """Probability that the method with the better accuracy is not better, element by element of `both`.

    n: images. better >= worse: accuracies in [0, 1]. both: share of images that both get right, between
    max(0, better + worse - 1) and worse; the probability falls as it grows. Raises InvalidInput outside.
    """
    from scipy.special import betainc

    least, most = both_right_range(better, worse)
    shared = np.asarray(both, dtype=np.float64)
    if n < 1 or not better >= worse or (shared < least - 1e-9).any() or (shared > most + 1e-9).any():
        raise InvalidInput(
            "A false claim needs images, the better accuracy first and a share both get right that fits them",
            f"found {n} images, accuracies {better:.4g} and {worse:.4g}, share {both}",
            f"Give a share from {least:.4g} to {most:.4g}.",
        )
    only = n * np.clip(better - shared, 0, None), n * np.clip(worse - shared, 0, None)
    return betainc(only[0] + 1, only[1] + 1, 0.5)


def both_right_range(first: float, second: float) -> tuple[float, float]:
    """The least and the greatest share of images that two methods of these accuracies can both get right."""
    if not 0 <= first <= 1 or not 0 <= second <= 1:
        raise InvalidInput("Accuracies lie between 0 and 1", f"found {first} and {second}", "Give fractions.")
    return max(0.0, first + second - 1), min(first, second)


def both_right(first: float, second: float, rho: Any) -> np.ndarray:
    """The share both get right at an overlap rho: 0 if they are right independently, 1 if one includes the other."""
    independent = first * second
    return independent + np.asarray(rho, dtype=np.float64) * (min(first, second) - independent)


def overlap(first: np.ndarray, second: np.ndarray) -> float | None:
    """The overlap rho of two of our own runs: whether right, (images,) each; None where an accuracy is 0 or 1."""
    a, b, both = (float(np.mean(each)) for each in (first, second, np.logical_and(first, second)))
    room = min(a, b) - a * b
    return (both - a * b) / room if room > 0 else None


@dataclass(frozen=True)
class PublishedComparison:
    """Our accuracy beside a published one on n images. better: which is higher, "ours", "published" or "equal".

    low, high: the probability that this order is wrong, over all shares both can get right, which is not published;
    at_overlap: at the overlap `rho` of our own runs, None where that is not known. owner: who ran what was published.
    decimals: of percentages in the sentence.
    """

    ours: float
    published: float
    n: int
    better: str
    low: float
    high: float
    rho: float | None
    at_overlap: float | None
    owner: str = ""
    decimals: int = 1

    @property
    def sentence(self) -> str:
        """For people, in percent."""
        whose = f" ({self.owner})" if self.owner else ""
        published, ours = (f"{100 * each:.{self.decimals}f}" for each in (self.published, self.ours))
        found = f"Published {published}{whose}, ours {ours} on {self.n} images: "
        if self.better == "equal":
            return found + "equal, so neither is better. Spread over draws is not in this."
        own = "" if self.at_overlap is None else f"; {_chance(self.at_overlap)} at the overlap of our own runs"
        return (
            f"{found}the order is wrong with probability {_chance(self.low)} to {_chance(self.high)}, depending on how "
            f"often both are right together (not published){own}. Spread over draws is not in this."
        )


def compare_to_published(
    ours: float, published: float, n: int, rho: float | None = None, owner: str = "", decimals: int = 1
) -> PublishedComparison:
    """How probable it is that the order of our accuracy and a published one is wrong, as a range.

    ours, published: accuracies on the same n images, fractions. rho: see `overlap`, below 0 where the two are right
    together less often than by chance. owner, decimals: of the sentence. Raises InvalidInput outside [0, 1], for no
    image and a rho that cannot be.
    """
    better, worse = max(ours, published), min(ours, published)
    ends = false_claim(n, better, worse, both_right_range(better, worse))
    mark = None if rho is None else float(false_claim(n, better, worse, both_right(better, worse, rho)))
    name = "equal" if ours == published else "ours" if ours > published else "published"
    low, high = float(ends[1]), float(ends[0])
    return PublishedComparison(ours, published, n, name, low, high, rho, mark, owner, decimals)


def smallest_difference(n: int, discordant: float, level: float = LEVEL) -> float | None:
    """The smallest difference of accuracies that is wrong with at most `level`; None where none is.

    n: images. discordant: share of them that exactly one of the two gets right, in (0, 1].
    """
    from scipy.optimize import brentq
    from scipy.special import betainc

    if n < 1 or not 0 < discordant <= 1:
        raise InvalidInput(
            "A smallest difference needs images and a share of them, above 0, that only one method gets right",
            f"found {n} images and a share of {discordant}",
        )

    def excess(apart: float) -> float:
        only = n * (discordant + apart) / 2, n * (discordant - apart) / 2
        return float(betainc(only[0] + 1, only[1] + 1, 0.5)) - level

    return None if excess(discordant) > 0 else float(brentq(excess, 0.0, discordant, xtol=1e-12))


def _chance(p: float) -> str:
    if p < 0.0001:
        return "less than 0.0001"
    return f"{p:.2f}" if p >= 0.01 else f"{p:.1g}"
