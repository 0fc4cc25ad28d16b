"""Which parts of an explanation come later, and by which rules explanations are made. Loads nothing."""

from __future__ import annotations

RULES = 7
"""Grows whenever the same request may give another answer than before, so that no older one is handed out for it."""
PARTS = ("trust", "what_if")
"""What takes seconds, and can come after the first answer."""
HEADS = "heads_"
"""What arrays of single layers and heads are called, to tell them from maps."""
