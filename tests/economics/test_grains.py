"""Usage stands in slices, minutes, hours and days: an answer takes the coarsest that tell it, and all tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economics.fold import Fold
from economics.grains import DAYS, GRAINS, HOURS, MINUTES, SLICES, Folded, Piece, cover
from economics.ledger import read_folded, read_usage
from economics.merging import Merging
from economics.usage_rollup import UsageRollUp, slices_rollup
from economics.versions import drop_old_slices
from store.lease import LeaseLostError
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, span, store_spans

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
MIDNIGHT = NOON.replace(hour=0)
BANDS = (200_000,)
GRACE = 10 * SECOND


def folded_until(time: datetime) -> list[Folded]:
    return [Folded(grain, 1, MIDNIGHT - 100 * DAY, grain.floor(time)) for grain in GRAINS]


def shown(pieces: Sequence[Piece]) -> list[tuple[str, datetime, datetime]]:
    return [(each.folded.grain.table if each.folded else "spans", each.start, each.end) for each in pieces]


def test_a_window_is_taken_from_the_coarsest_grains_and_its_newest_part_from_spans() -> None:
    now = NOON + 30 * MINUTE + 7 * SECOND
    start = MIDNIGHT - DAY - HOUR - MINUTE - 5 * SECOND
    assert shown(cover((start, now), None, folded_until(now))) == [
        ("usage_5s", start, MIDNIGHT - DAY - HOUR - MINUTE),
        ("usage_1m", MIDNIGHT - DAY - HOUR - MINUTE, MIDNIGHT - DAY - HOUR),
        ("usage_1h", MIDNIGHT - DAY - HOUR, MIDNIGHT - DAY),
        ("usage_1d", MIDNIGHT - DAY, MIDNIGHT),
        ("usage_1h", MIDNIGHT, NOON),
        ("usage_1m", NOON, NOON + 30 * MINUTE),
        ("usage_5s", NOON + 30 * MINUTE, NOON + 30 * MINUTE + 5 * SECOND),
        ("spans", NOON + 30 * MINUTE + 5 * SECOND, now),
    ]


def test_a_bucket_is_made_of_whole_stretches() -> None:
    window = (NOON - 2 * HOUR, NOON)
    assert shown(cover(window, 15, folded_until(NOON))) == [("usage_5s", *window)]
    assert shown(cover(window, 7, folded_until(NOON))) == [("spans", *window)]
    assert shown(cover(window, 90 * 60, folded_until(NOON))) == [("usage_1m", *window)]


def test_no_piece_reaches_across_a_cut() -> None:
    cut = MIDNIGHT + 30 * MINUTE
    assert shown(cover((MIDNIGHT, MIDNIGHT + 2 * HOUR), None, folded_until(NOON), [cut])) == [
        ("usage_1m", MIDNIGHT, cut),
        ("usage_1m", cut, MIDNIGHT + HOUR),
        ("usage_1h", MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR),
    ]


def test_fresh_slices_answer_up_to_now_the_open_one_as_it_stands() -> None:
    published = NOON + 33 * SECOND
    fresh = [Folded(SLICES, 1, NOON - HOUR, NOON + 35 * SECOND, complete=True)]
    whole = [("usage_5s", NOON, NOON + 35 * SECOND)]
    assert shown(cover((NOON, published), None, fresh)) == whole
    assert shown(cover((NOON, published + 4 * SECOND), None, fresh)) == whole
    assert shown(cover((NOON, NOON + 25 * SECOND), None, fresh)) == [("usage_5s", NOON, NOON + 25 * SECOND)]
    # A part of a slice that is closed is in its spans alone.
    assert shown(cover((NOON, NOON + 28 * SECOND), None, fresh)) == [
        ("usage_5s", NOON, NOON + 25 * SECOND),
        ("spans", NOON + 25 * SECOND, NOON + 28 * SECOND),
    ]
    stale = [Folded(SLICES, 1, NOON - HOUR, NOON + 35 * SECOND)]
    assert shown(cover((NOON, NOON + 37 * SECOND), None, stale)) == [
        *whole,
        ("spans", NOON + 35 * SECOND, NOON + 37 * SECOND),
    ]


seconds = st.integers(0, 3 * 86_400).map(lambda number: MIDNIGHT + number * SECOND)


@given(seconds, seconds, seconds, st.sampled_from([None, 5, 10, 60, 3600, 86_400]), st.lists(seconds, max_size=3))
def test_pieces_are_the_window_and_each_is_whole(
    start: datetime, end: datetime, folded: datetime, step: int | None, cuts: list[datetime]
) -> None:
    pieces = cover((start, end), step, folded_until(folded), cuts)
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    if start < end:
        assert (pieces[0].start, pieces[-1].end) == (start, end)
    for piece in pieces:
        assert not any(piece.start < cut < piece.end for cut in cuts)
        if piece.folded is not None:
            grain = piece.folded.grain
            assert grain.floor(piece.start) == piece.start and grain.floor(piece.end) == piece.end <= folded
            assert grain.divides(step)


class Folds:
    """Everything that a worker folds of spans."""

    def __init__(self, store: TelemetryStore) -> None:
        self.minutes = Fold(store, UsageRollUp(BANDS), GRACE)
        self.slices = Fold(store, slices_rollup(BANDS), GRACE)
        self.hours, self.days = Merging(store, MINUTES, HOURS), Merging(store, HOURS, DAYS)

    def run(self, now: datetime) -> tuple[int, int, int, int]:
        """How many slices, minutes, hours and days were published."""
        return (
            len(self.slices.run_once(now)),
            len(self.minutes.run_once(now)),
            len(self.hours.run_once(now)),
            len(self.days.run_once(now)),
        )


def output(store: TelemetryStore, start: datetime, end: datetime, step: int | None = None) -> list[tuple[object, int]]:
    found: dict[object, int] = {}
    for row in read_usage(store, start, end, BANDS, step):
        found[row.bucket] = found.get(row.bucket, 0) + row.output_tokens
    return sorted(found.items(), key=str)


def test_all_grains_tell_the_same_as_the_spans(telemetry: TelemetryStore) -> None:
    now = NOON + 40 * SECOND
    ends = [now - number * 97 * SECOND for number in range(1900)] + [now - number * SECOND for number in range(150)]
    store_spans(telemetry, *[span(end, n_out=number + 1) for number, end in enumerate(ends)])
    windows = [
        (now - 5 * MINUTE, now, None),
        (now - 5 * MINUTE, now, 5),
        (now - 15 * MINUTE, now, 15),
        (now - 6 * HOUR, now, 300),
        (MIDNIGHT - DAY - 7 * MINUTE, now, 3600),
        (MIDNIGHT - 2 * DAY - 13 * SECOND, now + HOUR, None),
        (NOON - 3 * HOUR + SECOND, NOON - 2 * HOUR - SECOND, None),
    ]
    raw = [output(telemetry, *window) for window in windows]
    published = Folds(telemetry).run(now)
    assert all(published)
    assert [output(telemetry, *window) for window in windows] == raw
    folded = {each.grain: each.before for each in read_folded(telemetry)[0]}
    assert folded == {DAYS: MIDNIGHT, HOURS: NOON, MINUTES: NOON, SLICES: NOON + 30 * SECOND}


def test_what_is_folded_is_not_looked_for_among_the_spans(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(NOON - DAY, n_out=1), span(NOON - 20 * SECOND, n_out=2))
    Folds(telemetry).run(NOON)
    telemetry.execute("TRUNCATE TABLE spans")
    assert output(telemetry, NOON - 2 * DAY, NOON) == [(None, 3)]


def test_the_open_slice_is_published_while_spans_come(telemetry: TelemetryStore) -> None:
    fold = Fold(telemetry, slices_rollup(BANDS), -SLICES.length)
    now = datetime.now(UTC)
    start = SLICES.floor(now - MINUTE)
    store_spans(telemetry, span(now - 20 * SECOND, n_out=1), span(now, n_out=2))
    fold.run_once(now)
    telemetry.execute("TRUNCATE TABLE spans")
    assert output(telemetry, start, now) == [(None, 3)]
    store_spans(telemetry, span(now, n_out=4))
    # It is known when the slice is published again, and not before.
    assert output(telemetry, start, now) == [(None, 3)]
    Fold(telemetry, slices_rollup(BANDS), -SLICES.length).run_once(now)
    assert output(telemetry, start, now) == [(None, 5)]


def test_a_late_span_reaches_its_hour_and_its_day(telemetry: TelemetryStore) -> None:
    folds = Folds(telemetry)
    store_spans(telemetry, span(MIDNIGHT - 5 * HOUR, n_out=1))
    assert folds.run(NOON) == (0, 1, 1, 1)
    assert folds.run(NOON) == (0, 0, 0, 0)
    store_spans(telemetry, span(MIDNIGHT - 5 * HOUR, n_out=2))
    assert folds.run(NOON) == (0, 1, 1, 1)
    assert output(telemetry, MIDNIGHT - DAY, NOON) == [(None, 3)]
    # Nor does a process that starts anew find anything to do.
    assert Folds(telemetry).run(NOON) == (0, 0, 0, 0)


def test_an_hour_waits_until_its_last_minute_is_closed(telemetry: TelemetryStore) -> None:
    folds = Folds(telemetry)
    store_spans(telemetry, span(NOON - 30 * MINUTE, n_out=1), span(NOON - SECOND, n_out=1))
    folds.run(NOON + 9 * SECOND)
    assert output(telemetry, NOON - HOUR, NOON) == [(None, 2)]
    assert telemetry.rows("SELECT count() AS n FROM usage_1h")[0]["n"] == 0
    assert folds.run(NOON + 10 * SECOND)[2:] == (1, 0)
    assert output(telemetry, NOON - HOUR, NOON) == [(None, 2)]


def test_who_lost_the_lease_merges_nothing_and_who_takes_over_does(telemetry: TelemetryStore) -> None:
    def lost() -> None:
        raise LeaseLostError

    store_spans(telemetry, span(NOON - 2 * HOUR, n_out=1))
    Fold(telemetry, UsageRollUp(BANDS), GRACE).run_once(NOON)
    with pytest.raises(LeaseLostError):
        Merging(telemetry, MINUTES, HOURS, confirm=lost).run_once(NOON)
    assert output(telemetry, MIDNIGHT, NOON) == [(None, 1)]
    # The rows that were left unpublished are under a version that is not used again.
    assert Merging(telemetry, MINUTES, HOURS).run_once(NOON) == [NOON - 2 * HOUR]
    assert output(telemetry, MIDNIGHT, NOON) == [(None, 1)]


def test_slices_are_those_of_the_last_hours_and_older_ones_go(telemetry: TelemetryStore) -> None:
    folds = Folds(telemetry)
    store_spans(telemetry, *[span(NOON - number * 10 * MINUTE - SECOND, n_out=1) for number in range(30)])
    assert folds.run(NOON + GRACE)[0] == 12
    later = NOON + 5 * HOUR
    store_spans(telemetry, span(later - MINUTE, n_out=1))
    folds.run(later)
    # Who reads since before the last fold still goes back an hour from noon.
    assert drop_old_slices(telemetry, later) == 1
    assert drop_old_slices(telemetry, later) == 0
    assert drop_old_slices(telemetry, later + 61 * MINUTE) == 1
    left = telemetry.rows("SELECT min(start) AS first, count() AS n FROM usage_5s")
    assert left == [{"first": later - MINUTE, "n": 1}]
    assert telemetry.rows("SELECT count() AS n FROM folded_slices WHERE start = 0") == [{"n": 1}]
    assert output(telemetry, NOON - 5 * HOUR, later) == [(None, 31)]
