"""`with` blocks: a stage or a pipeline without a function of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import andon
import pytest
from opentelemetry.trace import StatusCode


def test_a_block_is_a_call(recorded: Any) -> None:
    with andon.pipeline("index", kind="ingest"):
        with andon.stage("parse"):
            andon.record_tokens(rows_in=10, rows_out=8)
        with andon.stage("embed"):
            andon.record_tokens(input=100, model="m")
    parse, embed, index = recorded.spans
    assert [span.name for span in recorded.spans] == ["parse", "embed", "index"]
    assert parse.parent.span_id == embed.parent.span_id == index.context.span_id
    assert parse.attributes["andon.rows.out"] == 8
    assert embed.attributes["gen_ai.operation.name"] == "ingest"


def test_an_error_passes_and_ends_the_block(recorded: Any) -> None:
    with pytest.raises(ValueError, match="bad"), andon.stage("parse"):
        raise ValueError("bad")
    assert recorded.span("parse").status.status_code is StatusCode.ERROR
    andon.stage("after")(lambda: None)()
    assert recorded.span("after").parent is None


def test_async_blocks_run_side_by_side(recorded: Any) -> None:
    async def one(name: str) -> None:
        async with andon.stage(name):
            await asyncio.sleep(0)
            andon.record_tokens(input=len(name))

    async def both() -> None:
        async with andon.pipeline("p"):
            await asyncio.gather(one("a"), one("bb"))

    asyncio.run(both())
    parent = recorded.span("p").context.span_id
    for name in ("a", "bb"):
        assert recorded.span(name).parent.span_id == parent
        assert recorded.attributes(name)["gen_ai.usage.input_tokens"] == len(name)


def test_one_marker_serves_many_blocks_also_within_each_other_and_in_threads(recorded: Any) -> None:
    again = andon.stage("again")
    with again:
        with again:
            andon.record_tokens(input=1)
        andon.record_tokens(input=2)
    inner, outer = recorded.spans
    assert (inner.attributes["gen_ai.usage.input_tokens"], outer.attributes["gen_ai.usage.input_tokens"]) == (1, 2)

    entered, go_on = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with again:
            entered.set()
            go_on.wait(10)
            andon.record_tokens(input=4)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    entered.wait(10)
    with again:
        andon.record_tokens(input=8)
    go_on.set()
    thread.join()
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in recorded.spans[2:]] == [8, 4]


def test_without_init_a_block_is_a_block() -> None:
    with andon.stage("parse"):
        pass


def test_a_class_is_left_as_it_is(recorded: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Model:
        pass

    assert andon.stage("model")(Model) is Model
    assert "is no function" in caplog.text
