"""Every roll-up there is, as data: what is folded, pruned, and waited for before raw rows go.

The worker folds each in a task of its own; retention and `economics.versions` go through the same list.
"""

from __future__ import annotations

from economics.catalogue import catalogue
from economics.engine_rollup import EngineRollUp
from economics.grains import GRAINS, SLICES, Grain
from economics.prices import input_bands
from economics.rollup import RollUp
from economics.usage_rollup import UsageRollUp, slices_rollup


def rollups() -> dict[str, RollUp]:
    """By the name of the task that folds it; the one that leads the first removes rows too."""
    bands = input_bands()
    return {"fold": UsageRollUp(bands), "slices": slices_rollup(bands), "engines": EngineRollUp(catalogue())}


def lasting() -> tuple[RollUp, ...]:
    """Those that are kept when raw rows go, and so must be complete before."""
    return tuple(rollup for rollup in rollups().values() if rollup.kept is None)


def grains() -> tuple[Grain, ...]:
    """Everything that is published in versions and lasts: slices go by the hour, with their versions."""
    return tuple(dict.fromkeys((*(each for each in GRAINS if each is not SLICES), *(each.grain for each in lasting()))))
