"""Loading what requests need later, without pauses that requests would feel.

The collector of cyclic garbage stops every thread while it walks over all objects. A site that has loaded its libraries
holds more than a million of them, so that each full walk silences the health check for most of a second on a busy
machine. Therefore the collector rests while libraries are loaded, and never walks over them afterwards.
"""

from __future__ import annotations

import gc
import importlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)
MODEL_MODULES = ("core.backbones.loading", "pytorch_grad_cam", "scipy.stats", "cmcrameri.cm")
"""What using the first model loads: several seconds of work, most of it while the interpreter's one lock is held."""


@contextmanager
def resting_collector() -> Iterator[None]:
    """No collection inside, unless `load_models` ends there and lets it go on."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_models() -> threading.Thread:
    """Load what models need in a thread of its own, and then let the collector go on with what comes after.

    A request that needs a model meanwhile waits for the module it needs, as any import does.
    """
    thread = threading.Thread(target=_load, name="warm-up")
    thread.start()
    return thread


def _load() -> None:
    try:
        for module in MODEL_MODULES:
            importlib.import_module(module)
    except Exception:  # the page that needs it will say what is wrong; the site goes on all the same
        log.exception("loading what models need failed")
    finally:
        gc.freeze()
        gc.enable()
