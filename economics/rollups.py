"""Every roll-up there is, as data: what is folded, pruned, and waited for before raw rows go.

The worker folds each in a task of its own; retention and `economics.versions` go through the same list.
"""

from __future__ import annotations

from economics.catalogue import catalogue
from economics.engine_rollup import EngineRollUp
from economics.prices import input_bands
from economics.rollup import RollUp
from economics.usage_rollup import UsageRollUp


def rollups() -> dict[str, RollUp]:
    """By the name of the task that folds it; the one that leads the first removes rows too."""
    return {"fold": UsageRollUp(input_bands()), "engines": EngineRollUp(catalogue())}
