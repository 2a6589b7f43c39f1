"""A request is known for ten minutes after its rows are on disk, also after a crash, within bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collector.clock import Clock
from collector.frames import MARK_BYTES, Mark
from collector.seen import REMEMBERED_SECONDS, SeenRequests, request_digest

SECOND = 10**9
NOON = 1_800_000_000 * SECOND


@dataclass
class Hands:
    """Both clocks, set by hand."""

    wall: int = NOON
    steady: int = 5_000 * SECOND

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)

    def go_on(self, seconds: int) -> None:
        self.wall += seconds * SECOND
        self.steady += seconds * SECOND


def mark(number: int, arrived: int = NOON) -> Mark:
    return Mark(number.to_bytes(16, "big"), arrived)


def known(seen: SeenRequests, *numbers: int) -> list[int]:
    return [number for number in numbers if seen.arrival(mark(number).digest) is not None]


def test_a_digest_tells_path_project_and_body_apart() -> None:
    digests = {
        request_digest("/v1/traces", "default", b"body"),
        request_digest("/v1/logs", "default", b"body"),
        request_digest("/v1/traces", "other", b"body"),
        request_digest("/v1/traces", "default", b"body "),
    }
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {16}


def test_a_request_is_known_for_ten_minutes_and_not_longer(tmp_path: Path) -> None:
    hands = Hands()
    seen = SeenRequests(tmp_path / "seen", clock=hands.clock)
    seen.add([mark(1)])
    hands.go_on(REMEMBERED_SECONDS)
    seen.add([mark(2)])
    assert known(seen, 1, 2) == [1, 2]
    hands.go_on(1)
    seen.forget()
    assert known(seen, 1, 2) == [2]
    assert seen.forgotten_early == 0


def test_beyond_the_most_the_oldest_is_forgotten_and_counted(tmp_path: Path) -> None:
    hands = Hands()
    seen = SeenRequests(tmp_path / "seen", most=3, clock=hands.clock)
    seen.add([mark(1), mark(2)])
    hands.go_on(1)
    seen.add([mark(3), mark(4), mark(5)])
    assert known(seen, 1, 2, 3, 4, 5) == [3, 4, 5]
    assert seen.forgotten_early == 2
    hands.go_on(REMEMBERED_SECONDS + 1)
    seen.forget()
    assert len(seen) == 0
    assert seen.forgotten_early == 2


def test_what_was_saved_is_known_after_a_restart_for_the_rest_of_its_ten_minutes(tmp_path: Path) -> None:
    hands = Hands()
    seen = SeenRequests(tmp_path / "seen", clock=hands.clock)
    seen.add([mark(1)])
    seen.save()
    hands.go_on(400)
    seen.add([mark(2, hands.wall)])
    seen.save()
    hands.wall += 100 * SECOND
    hands.steady = 7 * SECOND  # another process, or another boot of the machine
    again = SeenRequests(tmp_path / "seen", clock=hands.clock)
    assert known(again, 1, 2) == [1, 2]
    assert again.arrival(mark(2).digest) == NOON + 400 * SECOND
    hands.go_on(101)
    again.forget()
    assert known(again, 1, 2) == [2]


def test_a_wall_clock_that_jumps_while_it_runs_changes_nothing(tmp_path: Path) -> None:
    hands = Hands()
    seen = SeenRequests(tmp_path / "seen", clock=hands.clock)
    seen.add([mark(1)])
    for jump in (3600, -7200):
        hands.wall += jump * SECOND
        seen.add([mark(abs(jump))])
    assert known(seen, 1, 3600, 7200) == [1, 3600, 7200]
    hands.go_on(REMEMBERED_SECONDS + 1)
    seen.forget()
    assert len(seen) == 0


def test_a_torn_record_of_a_failed_save_spoils_none_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    hands = Hands()
    seen = SeenRequests(path, clock=hands.clock)
    seen.add([mark(1)])
    seen.save()
    path.write_bytes(path.read_bytes() + b"torn")
    seen.add([mark(2)])
    seen.save()
    assert path.stat().st_size == 2 * MARK_BYTES
    assert known(SeenRequests(path, clock=hands.clock), 1, 2) == [1, 2]


def test_a_save_that_fails_is_made_good_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    hands = Hands()
    seen = SeenRequests(folder / "seen", clock=hands.clock)
    (folder / "seen").unlink()
    folder.rmdir()
    seen.add([mark(1)])
    seen.save()
    folder.mkdir()
    seen.add([mark(2)])
    seen.save()
    assert known(SeenRequests(folder / "seen", clock=hands.clock), 1, 2) == [1, 2]


def test_the_file_does_not_grow_with_what_is_forgotten(tmp_path: Path) -> None:
    hands = Hands()
    path = tmp_path / "seen"
    seen = SeenRequests(path, most=10, clock=hands.clock)
    for first in range(0, 200_000, 10_000):
        seen.add(mark(number, hands.wall) for number in range(first, first + 10_000))
        seen.save()
    assert path.stat().st_size < 100_000 * MARK_BYTES
    assert known(SeenRequests(path, clock=hands.clock), 199_999) == [199_999]
