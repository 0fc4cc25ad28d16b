"""Backbones: which are known by name, and whether their weights are on this machine."""

from __future__ import annotations

from typing import Any

from app.services.context import Context
from core.backbones import catalogue


def list_backbones(ctx: Context) -> list[dict[str, Any]]:
    """Every known or fetched backbone; the keys are those of `core.backbones.catalogue.list_backbones`."""
    return catalogue.list_backbones(ctx.home)
