"""Whether experiments take as long as was said before: `python -m benchmarks.estimates`, or with `--json`.

Runs small experiments on the embedded backbone and drawn phantoms, each kind twice: in an empty home, where methods are
timed by a few steps, and with other seeds afterwards, where the estimate rests on the cells before. Prints the seconds
that were estimated with their range, those that were measured, the quotient, and whether it lay inside. `--images`
takes folders in place of the phantoms; run it on a machine whose other work stays the same meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.services import experiments
from app.services.context import Context, open_context
from core.records.migrate import prepare
from core.settings import Settings
from core.threads import wait_briefly

KINDS: dict[str, dict[str, Any]] = {
    "small": {"methods": ["linear_probe", "coop"], "shots": [1, 4], "seeds": [1, 2]},
    "features only": {"methods": ["tip_adapter", "lp_plus_plus"], "shots": [2, 8], "seeds": [1, 2, 3]},
    "seeds in step": {"methods": ["coop", "kgcoop"], "shots": [8], "seeds": [1, 2, 3, 4, 5]},
    "two sets": {"methods": ["clip_adapter", "tip_adapter_f"], "shots": [4], "seeds": [1, 2]},
}
"""Values of the experiments; "two sets" gets both sets, the others the first."""
OTHER_SEEDS = 100


def measured(ctx: Context, values: dict[str, Any]) -> dict[str, Any]:
    """{kind, seconds, low, high, measured, quotient, inside} of one experiment that is run here."""
    made = experiments.create(ctx, values, paths=True)
    told: dict[str, Any] = {}
    begun = 0.0

    def listen(estimate: Any) -> None:
        nonlocal begun
        told.update(estimate.as_dict())
        begun = time.monotonic()

    experiments.run_here(ctx, made["id"], on_cells=lambda _: None, on_estimate=listen)
    took = time.monotonic() - begun
    return {
        "kind": values["name"],
        "cells": told["n_cells"],
        **{name: told[name] for name in ("seconds", "low", "high", "shared")},
        "measured": round(took, 1),
        "quotient": round(took / told["seconds"], 2),
        "inside": told["low"] <= took <= told["high"],
    }


def lines(images: list[Path], kinds: list[str]) -> Iterator[dict[str, Any]]:
    """Each kind in a home of its own, timed and then by what has been."""
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(home=Path(folder), database_url=None)
            prepare(settings.database)
            ctx = open_context(settings)
            sets = [str(each.resolve()) for each in (images[:2] if kind == "two sets" else images[:1])]
            values = {**KINDS[kind], "images": sets}
            yield measured(ctx, values | {"name": f"{kind}, timed"})
            later = [seed + OTHER_SEEDS for seed in values["seeds"]]
            yield measured(ctx, values | {"name": f"{kind}, by earlier cells", "seeds": later})
            ctx.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", help="two image sets with 8 images a class; else phantoms")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true", help="print one object a line")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = asked.images or [_phantoms(Path(folder) / f"phantoms {seed}", seed) for seed in (1, 2)]
        found = []
        for line in lines(images, asked.kinds):
            found.append(line)
            print(json.dumps(line) if asked.json else _text(line), flush=True)
    inside = sum(line["inside"] for line in found)
    print(f"{inside} of {len(found)} lay inside their range", file=sys.stderr if asked.json else sys.stdout)


def _text(line: dict[str, Any]) -> str:
    said = f"{line['seconds']:.0f} s ({line['low']:.0f} to {line['high']:.0f})"
    where = "inside" if line["inside"] else "OUTSIDE"
    return f"{line['kind']}: estimated {said}, measured {line['measured']:.0f} s, {line['quotient']} times, {where}"


def _phantoms(folder: Path, seed: int) -> Path:
    from core.images.phantoms import make_phantoms

    make_phantoms(folder, seed=seed, per_class=(24, 40))
    return folder


if __name__ == "__main__":
    import os

    wait_briefly(os.environ)
    main()
