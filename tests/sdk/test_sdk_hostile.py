"""Whatever the host's objects and handlers do when they are looked at, its own results and exceptions come through."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import andon
import pytest
from andon import notices
from andon.runtime import State, runtime


class RaisingHandler(logging.Handler):
    """A handler that is broken, and says so by raising."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the host's log is full")


@pytest.fixture
def broken_log() -> Iterator[None]:
    handler = RaisingHandler()
    notices.log.addHandler(handler)
    yield
    notices.log.removeHandler(handler)


def test_a_log_handler_that_raises_is_not_felt_by_a_decorated_call(
    broken_log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "off", False)
    monkeypatch.setattr(runtime, "state", State.NEW)

    @andon.stage
    def answer() -> int:
        andon.record_tokens(input=1)
        return 42

    assert answer() == 42


def test_a_log_handler_that_raises_is_not_felt_where_something_is_decorated(broken_log: None) -> None:
    assert andon.stage(5) == 5  # type: ignore[type-var]
    assert callable(andon.pipeline("p", kind="unheard of")(len))  # type: ignore[call-overload]
