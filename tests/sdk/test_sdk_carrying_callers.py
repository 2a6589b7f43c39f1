"""Pools, threads and processes take what they took before, however they are called."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable
from multiprocessing import util
from multiprocessing.pool import ThreadPool
from types import MappingProxyType
from typing import Any

import andon
import pytest
from andon import carrying
from andon.notices import Loss, losses
from andon.settings import resolve

from tests.sdk.conftest import Recorded


@pytest.fixture(autouse=True)
def _carried() -> None:
    carrying.install()


@pytest.mark.parametrize(
    "call",
    [
        lambda pool, fn: [pool.apply_async(func=fn, args=("ab",)).get()],
        lambda pool, fn: list(pool.imap(func=fn, iterable=["ab"])),
        lambda pool, fn: list(pool.imap_unordered(func=fn, iterable=["ab"])),
        lambda pool, fn: pool.map(func=fn, iterable=["ab"]),
    ],
)
def test_a_pool_takes_its_function_by_name(recorded: Recorded, call: Callable[[Any, Any], list[int]]) -> None:
    with ThreadPool(1) as pool, andon.pipeline("index"):
        assert call(pool, andon.stage("length")(len)) == [2]
    stage, pipeline = recorded.span("length"), recorded.span("index")
    assert stage.parent is not None
    assert pipeline.context is not None
    assert stage.parent.span_id == pipeline.context.span_id


def test_a_process_that_is_started_twice_says_what_it_always_says(recorded: Recorded) -> None:
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    faults = losses.total(Loss.FAULT)
    with pytest.raises(AssertionError, match="cannot start a process twice"):
        process.start()
    assert losses.total(Loss.FAULT) == faults


def test_a_thread_that_is_started_twice_holds_nothing(recorded: Recorded) -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    with andon.stage("again"), pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()
    assert "run" not in vars(thread)


def test_headers_of_any_mapping_travel_to_a_worker_process() -> None:
    settings = resolve({}, headers=MappingProxyType({"authorization": "Bearer token"}))
    arrived = pickle.loads(pickle.dumps(settings))  # noqa: S301 - what was just made
    assert arrived.headers == {"authorization": "Bearer token"}


def test_beginning_again_registers_nothing_again() -> None:
    registered = len(util._afterfork_registry)  # type: ignore[attr-defined]
    carrying.install()
    assert len(util._afterfork_registry) == registered  # type: ignore[attr-defined]


def test_a_thread_keeps_the_run_that_it_was_given(recorded: Recorded) -> None:
    thread = threading.Thread()
    ran: list[str] = []
    own = thread.run = lambda: ran.append("own")  # type: ignore[method-assign]
    with andon.stage("outer"):
        thread.start()
    thread.join()
    assert ran == ["own"]
    assert vars(thread)["run"] is own
