"""What the calls of one run share, seen from many threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from andon.clients.reading import Reading
from andon.runs import _MOST_SEEN, Run

THREADS = 4
ANSWERS = 10_000


@pytest.fixture
def _impatient() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_impatient")
def test_many_threads_count_every_answer_once_and_remember_a_bounded_number() -> None:
    run = Run()
    counted: list[bool] = []

    def answers(thread: int) -> None:
        readings = (Reading({}, None, None, None, f"{thread}-{n}", (), object()) for n in range(ANSWERS))
        counted.extend([run.is_new(reading) for reading in readings])

    threads = [threading.Thread(target=answers, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.count(True) == THREADS * ANSWERS
    assert len(run._seen) <= _MOST_SEEN
