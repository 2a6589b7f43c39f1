"""Running the checks: deadlines, errors, what is stored, and how old results are shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint

import pytest
from captured_source import NOW
from hypothesis import given
from hypothesis import strategies as st

from checklist.context import CheckContext
from checklist.model import Check, CheckResult, Evidence, Status, conclude, worst
from checklist.registry import _load, registered_checks
from checklist.runner import ChecklistRunner
from checklist.status import from_results, read_checklist, recent_changes
from settings import ChecklistSettings, Settings
from store.control import ControlStore
from store.migrate import upgrade

STATUSES = st.sampled_from(Status)
SETTINGS = Settings(checklist=ChecklistSettings(poll_seconds=15, deadline_seconds=2))
HASTY = Settings(checklist=ChecklistSettings(deadline_seconds=0.05))


class Saying:
    """A check that says what it is told to."""

    def __init__(self, status: Status = Status.OK, name: str = "saying") -> None:
        self.name = name
        self.title = name.capitalize()
        self.status = status

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        row = Evidence("lamp", self.status.value, self.status, remedy="look at the lamp")
        return conclude(self.name, self.title, (row,), "all is well", now)


class Raising(Saying):
    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        raise ValueError("the lamp\nis broken")


class Hanging(Saying):
    def __init__(self, release: threading.Event) -> None:
        super().__init__(name="hanging")
        self.release = release
        self.runs = 0

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        self.runs += 1
        self.release.wait(30)
        return super().run(context, now)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[ControlStore]:
    """A migrated control store of either kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("control")
        return
    opened = ControlStore(request.getfixturevalue("postgres"))
    upgrade(opened.engine, "control")
    yield opened
    opened.close()


@pytest.fixture
def runner(store: ControlStore) -> Callable[..., ChecklistRunner]:
    """Makes a runner of the given checks; the checks of these tests do not read the telemetry store."""

    def make(*checks: Check, settings: Settings = SETTINGS) -> ChecklistRunner:
        return ChecklistRunner(settings, None, store, checks=checks)  # type: ignore[arg-type]

    return make


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_exit_codes_and_order_of_concern() -> None:
    assert [status.exit_code for status in (Status.OK, Status.WARN, Status.FAIL, Status.UNKNOWN)] == [0, 1, 2, 3]
    assert sorted(Status, key=lambda status: status.rank) == [Status.OK, Status.WARN, Status.UNKNOWN, Status.FAIL]


def test_nothing_judged_is_unknown() -> None:
    assert worst([]) is Status.UNKNOWN
    assert worst([None, None]) is Status.UNKNOWN
    assert worst([None, Status.OK]) is Status.OK


@given(st.lists(STATUSES, min_size=1))
def test_unknown_never_turns_green_and_never_hides_a_failure(statuses: list[Status]) -> None:
    found = worst(statuses)
    assert (found is Status.OK) is (set(statuses) == {Status.OK})
    assert (found is Status.FAIL) is (Status.FAIL in statuses)


def test_a_result_is_stored_with_the_time_its_state_began(
    runner: Callable[..., ChecklistRunner], store: ControlStore
) -> None:
    check = Saying(Status.FAIL)
    for seconds in (0, 15, 30):
        runner(check).run_once(later(seconds))
    (item,) = read_checklist(store, SETTINGS, later(32), [check]).checks
    assert (item.status, item.since, item.observed_at, item.age_seconds) == (Status.FAIL, NOW, later(30), 2.0)
    assert item.evidence == (Evidence("lamp", "FAIL", Status.FAIL, remedy="look at the lamp"),)
    assert (item.summary, item.remedy, item.stale) == ("lamp: FAIL", "look at the lamp", False)


def test_every_change_of_state_is_kept_and_nothing_else(
    runner: Callable[..., ChecklistRunner], store: ControlStore
) -> None:
    check = Saying()
    for seconds, status in ((0, Status.OK), (15, Status.OK), (30, Status.FAIL), (45, Status.FAIL), (60, Status.OK)):
        check.status = status
        runner(check).run_once(later(seconds))
    changes = [(change.previous, change.status, change.changed_at) for change in recent_changes(store)]
    assert changes == [
        (Status.FAIL, Status.OK, later(60)),
        (Status.OK, Status.FAIL, later(30)),
        (None, Status.OK, NOW),
    ]


def test_a_check_that_raises_is_unknown_with_its_error_in_one_line(
    runner: Callable[..., ChecklistRunner], store: ControlStore
) -> None:
    results = runner(Raising(name="raising"), Saying()).run_once(NOW)
    assert [(result.name, result.status) for result in results] == [
        ("raising", Status.UNKNOWN),
        ("saying", Status.OK),
    ]
    assert results[0].summary == "ValueError: the lamp is broken"


def test_a_check_that_hangs_is_unknown_holds_nobody_and_is_not_started_twice(
    runner: Callable[..., ChecklistRunner], store: ControlStore
) -> None:
    release = threading.Event()
    hanging = Hanging(release)
    hasty = runner(hanging, Saying(), settings=HASTY)
    try:
        for seconds in (0, 15):
            results = hasty.run_once(later(seconds))
            assert results[0].status is Status.UNKNOWN
            assert "no answer yet; asked at 03:00:00 UTC" in results[0].summary
            assert results[1].status is Status.OK
        assert hanging.runs == 1
    finally:
        release.set()
    hasty._looks["hanging"].finished(10)
    late = hasty.run_once(later(30))[0]
    assert (late.status, late.observed_at) == (Status.OK, NOW)
    assert hasty.run_once(later(45))[0].observed_at == later(45)
    assert hanging.runs == 2


def test_a_result_older_than_three_polls_is_unknown(
    runner: Callable[..., ChecklistRunner], store: ControlStore
) -> None:
    check = Saying()
    runner(check).run_once(NOW)
    # Three polls of 15 s, and the 2 s that a look may take.
    (item,) = read_checklist(store, SETTINGS, later(47), [check]).checks
    assert item.status is Status.OK
    checklist = read_checklist(store, SETTINGS, later(240), [check])
    (item,) = checklist.checks
    assert (item.status, item.stale, item.since) == (Status.UNKNOWN, True, NOW)
    assert item.summary == "last look 4 min ago: OK, all is well"
    assert (checklist.status, checklist.exit_code) == (Status.UNKNOWN, 3)


def test_a_check_that_nobody_ran_is_unknown(store: ControlStore) -> None:
    (item,) = read_checklist(store, SETTINGS, NOW, [Saying()]).checks
    assert (item.status, item.age_seconds) == (Status.UNKNOWN, None)


def test_a_check_that_is_gone_leaves_the_checklist(runner: Callable[..., ChecklistRunner], store: ControlStore) -> None:
    runner(Saying(), Saying(Status.FAIL, "retired")).run_once(NOW)
    runner(Saying()).run_once(later(15))
    assert [item.name for item in read_checklist(store, SETTINGS, later(15), [Saying()]).checks] == ["saying"]


def test_one_look_is_shown_as_it_is(runner: Callable[..., ChecklistRunner], store: ControlStore) -> None:
    results = runner(Saying(Status.WARN)).run_once(NOW)
    found = from_results(results, store, NOW)
    assert (found.status, found.exit_code, found.checks[0].since) == (Status.WARN, 1, NOW)


def test_the_three_checks_are_registered() -> None:
    assert [check.name for check in registered_checks()] == ["cdc", "observability", "tco"]


@pytest.mark.parametrize("value", ["no.such.module:Check", "checklist.cdc:NoSuchCheck", "checklist.model:Evidence"])
def test_a_strangers_check_that_cannot_be_loaded_is_seen_on_the_list(
    value: str, runner: Callable[..., ChecklistRunner]
) -> None:
    check = _load(EntryPoint("stranger", value, "andon.checks"))
    (result,) = runner(check).run_once(NOW)
    assert result.status is Status.UNKNOWN
    assert f"'stranger' ({value}) cannot be loaded" in result.summary


def test_a_strangers_check_needs_only_a_name_a_title_and_run() -> None:
    assert isinstance(Saying(), Check)
