"""Tests that talk to a real peer skip with a reason where it is missing, and fail where it must be there."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest

REQUIRE = "ANDON_REQUIRE_PEERS"


def missing(name: str, reason: str) -> NoReturn:
    """Skip the test because the peer `name` is missing; fail it instead when `ANDON_REQUIRE_PEERS=1`."""
    text = f"the peer {name!r} is missing: {reason}"
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{text} ({REQUIRE}=1 demands it)")
    pytest.skip(text)


def require(name: str, reason: str) -> None:
    """Go on only when `name` is an importable module or a program on the PATH; see `missing`.

    Args:
        reason: how to get the peer, or why it may be absent.
    """
    if importlib.util.find_spec(name) is None and shutil.which(name) is None:
        missing(name, reason)
