"""Whatever the host's objects and handlers do when they are looked at, its own results and exceptions come through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import andon
import pytest
from andon import notices
from andon.answers import every_type
from andon.runtime import State, runtime
from andon.spans import current_span
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from tests.sdk.conftest import Recorded


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


class Unhashable(type):
    """A metaclass that compares, and so has lost its hash, as one that defines `__eq__` alone does."""

    def __eq__(cls, other: object) -> bool:
        return True


class Result(metaclass=Unhashable):
    """A value of a type that cannot be looked up."""


def test_a_result_whose_type_has_no_hash_comes_through(recorded: Recorded) -> None:
    result = Result()

    @andon.stage
    def answer() -> Result:
        return result

    @andon.stage
    async def later() -> Result:
        return result

    assert answer() is result
    assert asyncio.run(later()) is result
    assert [span.name for span in recorded.spans] == ["answer", "later"]


def test_items_whose_type_has_no_hash_come_through(recorded: Recorded) -> None:
    result = Result()

    @andon.stage
    def items() -> Iterator[Result]:
        yield result

    @andon.stage
    async def later() -> AsyncIterator[Result]:
        yield result

    async def taken() -> list[Result]:
        return [item async for item in later()]

    (item,) = items()
    assert item is result
    assert asyncio.run(taken())[0] is result
    assert len(recorded.spans) == 2


def test_a_callable_that_cannot_be_asked_for_its_name_is_left_as_it_is() -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise KeyError(name)

        def __call__(self) -> int:
            return 3

    odd = Odd()
    assert andon.stage(odd) is odd
    assert andon.stage("odd")(odd)() == 3


def test_a_decorated_generator_takes_an_argument_called_self(recorded: Recorded) -> None:
    @andon.stage
    def pairs(**named: int) -> Iterator[dict[str, int]]:
        yield named

    assert list(pairs(self=1)) == [{"self": 1}]  # type: ignore[call-arg]


def test_a_mask_that_leaves_the_program_leaves_no_span_current(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(text: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "mask", interrupted)

    @andon.stage
    def answer(prompt: str) -> str:
        return prompt

    with pytest.raises(KeyboardInterrupt):
        answer("hello")
    assert current_span() is None
    assert recorded.span("answer").end_time is not None


def test_a_name_that_utf8_cannot_say_is_sent_beside_the_others(recorded: Recorded) -> None:
    # As `os.listdir` gives the name of a file whose bytes are no UTF-8.
    with andon.pipeline("import \udcff.csv", domain="\udcff"):
        pass
    (span,) = recorded.spans
    assert span.name == "import ?.csv"
    assert recorded.attributes("import ?.csv")["andon.domain"] == "?"
    encode_spans([span]).SerializeToString()


def test_a_domain_that_is_no_text_is_left_out_and_named_once(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with andon.pipeline("index", domain=object()):  # type: ignore[call-overload]
            pass
    assert len(caplog.records) == 1
    assert "domain" in caplog.text


def test_types_of_items_are_not_remembered_where_every_item_is_wanted(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "mask", str)

    @andon.stage
    def items() -> Iterator[object]:
        yield type("Dynamic", (), {})()

    assert len(list(items())) == 1
    assert not every_type
