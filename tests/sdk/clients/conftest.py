"""Nothing of usage capture may fail inside, whatever it is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from andon.notices import Loss, losses


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    faults = losses.total(Loss.FAULT)
    yield
    assert losses.total(Loss.FAULT) == faults
