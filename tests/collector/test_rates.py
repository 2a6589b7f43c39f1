"""A token bucket by hand: ten items per second, twenty at once."""

from __future__ import annotations

import pytest

from collector.answers import RefusalError
from collector.rates import Bucket, Rate


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bucket(clock: Clock) -> Bucket:
    return Bucket(Rate(10, 20), clock)


def wait_of(bucket: Bucket, items: int) -> int | None:
    """The seconds to wait that a refusal says; None when the items are taken."""
    try:
        bucket.take(items)
    except RefusalError as error:
        assert (error.http_status, error.reason) == (429, "rate_limit")
        return error.retry_after_seconds
    return None


def test_a_full_bucket_gives_its_burst_and_then_its_rate(bucket: Bucket, clock: Clock) -> None:
    assert wait_of(bucket, 20) is None
    assert wait_of(bucket, 1) == 1
    clock.now += 0.5
    assert wait_of(bucket, 6) == 1
    assert wait_of(bucket, 5) is None


def test_the_wait_is_the_time_until_there_is_room_in_whole_seconds_from_1_to_5(bucket: Bucket, clock: Clock) -> None:
    bucket.take(20)
    assert wait_of(bucket, 15) == 2
    bucket_of_a_minute = Bucket(Rate(10, 600), clock)
    bucket_of_a_minute.take(600)
    assert wait_of(bucket_of_a_minute, 600) == 5


def test_a_request_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_for_afterwards(
    bucket: Bucket, clock: Clock
) -> None:
    assert wait_of(bucket, 50) is None
    clock.now += 2.9
    assert wait_of(bucket, 1) == 1
    clock.now += 0.2
    assert wait_of(bucket, 1) is None


def test_what_is_refused_costs_nothing(bucket: Bucket, clock: Clock) -> None:
    bucket.take(20)
    for _ in range(100):
        assert wait_of(bucket, 10) == 1
    clock.now += 1
    assert wait_of(bucket, 10) is None


def test_a_bucket_holds_no_more_than_its_burst(bucket: Bucket, clock: Clock) -> None:
    clock.now += 3600
    bucket.take(20)
    assert wait_of(bucket, 1) == 1


def test_without_a_burst_ten_seconds_are_held_and_without_a_rate_nothing_is_limited() -> None:
    assert Rate.of(2.5, None) == Rate(2.5, 25)
    assert Rate.of(0.01, None) == Rate(0.01, 1)
    assert Rate.of(None, 7) is None
