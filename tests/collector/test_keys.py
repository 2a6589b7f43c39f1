"""Admission by key: which keys are right, how soon a change is seen, and what happens while keys cannot be read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.admission import FRESH_SECONDS, MARK_USED_SECONDS, Admission
from collector.answers import RefusalError
from collector.rates import Rate
from settings import CollectorSettings
from store.control import ControlStore
from store.keys import KeyRecord, create_key, read_keys, revoke_key
from tests.collector.test_rates import Clock

NOW = datetime.now(UTC)


@dataclass
class Door:
    """An admission over a control store, with a clock of its own, on one event loop."""

    control: ControlStore
    limits: CollectorSettings = field(default_factory=lambda: CollectorSettings(require_key=True))
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits, self.control, self.clock)
        self.loop = asyncio.Runner()

    def answer(self, headers: Mapping[str, str]) -> str | int:
        """The project of who sends these headers, or the status of the refusal."""
        try:
            return self.loop.run(self.admission.admit(headers)).project
        except RefusalError as error:
            return error.http_status

    def key(self, name: str = "shop", **more: Any) -> str:
        return create_key(self.control, name=name, now=NOW, **more)[1]


@pytest.fixture
def door(control: ControlStore) -> Iterator[Door]:
    door = Door(control)
    yield door
    door.admission.close()
    door.loop.close()


def test_a_key_is_taken_as_a_bearer_token_or_in_a_header_of_its_own(door: Door) -> None:
    key = door.key(project="research")
    assert door.answer({"authorization": f"Bearer {key}"}) == "research"
    assert door.answer({"authorization": f"bearer  {key} "}) == "research"
    assert door.answer({"x-andon-key": key}) == "research"
    # A proxy in front may have credentials of its own in the other header.
    assert door.answer({"x-andon-key": key, "authorization": "Basic dXNlcjpwYXNz"}) == "research"


@pytest.mark.parametrize("require_key", [True, False])
def test_a_key_that_is_given_and_wrong_is_refused_whether_or_not_one_is_required(
    control: ControlStore, require_key: bool
) -> None:
    door = Door(control, CollectorSettings(require_key=require_key))
    key = door.key()
    mark, identity, secret = key.split("_")
    for wrong in (
        "",
        "x",
        secret,
        f"{mark}_{identity}_{secret[:-1]}",
        f"{mark}_{identity}_{'0' * 64}",
        f"{mark}_{'0' * 12}_{secret}",
        f"{key}_",
        f"{key}\x00",
        "ключ",
    ):
        assert door.answer({"authorization": f"Bearer {wrong}"}) == 401, wrong
        assert door.answer({"x-andon-key": wrong}) == 401, wrong
    for other in ("", key, f"Basic {key}", f"Token {key}"):
        assert door.answer({"authorization": other}) == 401, other
    assert door.answer({}) == (401 if require_key else "default")
    door.admission.close()
    door.loop.close()


def test_a_key_without_the_scope_to_send_is_forbidden(door: Door, control: ControlStore) -> None:
    key = door.key()
    with control.write() as session:
        session.execute(sa.update(KeyRecord).values(scopes=["read"]))
    assert door.answer({"x-andon-key": key}) == 403


def test_an_expired_key_is_wrong(door: Door, control: ControlStore) -> None:
    key = door.key(expires_at=NOW + timedelta(days=1))
    assert door.answer({"x-andon-key": key}) == "default"
    with control.write() as session:
        session.execute(sa.update(KeyRecord).values(expires_at=NOW - timedelta(seconds=1)))
    door.clock.now += FRESH_SECONDS + 0.1
    assert door.answer({"x-andon-key": key}) == 401


def test_a_revoked_key_ends_within_seconds_and_a_new_one_begins_at_once(door: Door, control: ControlStore) -> None:
    key = door.key()
    assert door.answer({"x-andon-key": key}) == "default"
    revoke_key(control, key, NOW)
    door.clock.now += FRESH_SECONDS + 0.1
    assert door.answer({"x-andon-key": key}) == 401
    assert door.answer({"x-andon-key": door.key(project="b")}) == "b"


def test_a_flood_of_unknown_keys_is_no_flood_of_queries(door: Door, control: ControlStore) -> None:
    queries: list[str] = []
    sa.event.listen(control.engine, "before_cursor_execute", lambda *told: queries.append(told[2]))

    async def flood() -> list[object]:
        asked = (door.admission.admit({"x-andon-key": f"andon_{number}_{number}"}) for number in range(500))
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = door.loop.run(flood())
    assert [answer.http_status for answer in answers if isinstance(answer, RefusalError)] == [401] * 500
    assert len([text for text in queries if "api_key" in text]) == 1


def test_while_keys_cannot_be_read_known_ones_stay_in_force_and_others_are_told_to_retry(
    door: Door, control: ControlStore
) -> None:
    key = door.key()
    assert door.answer({"x-andon-key": key}) == "default"
    with control.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE api_key RENAME TO away"))
    door.clock.now += FRESH_SECONDS + 0.1
    assert door.answer({"x-andon-key": key}) == "default"
    assert door.answer({"x-andon-key": "andon_0_0"}) == 503
    with control.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO api_key"))
    assert door.answer({"x-andon-key": "andon_0_0"}) == 401
    assert door.answer({"x-andon-key": key}) == "default"


def test_a_control_store_that_hangs_does_not_hold_up_known_keys(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    key = door.key()
    assert door.answer({"x-andon-key": key}) == "default"
    answering = threading.Event()
    monkeypatch.setattr("collector.admission.read_keys", lambda _: answering.wait(60) and [])
    door.clock.now += FRESH_SECONDS + 0.1
    # The first waits for as long as its patience goes, those after it find that it has gone.
    assert door.answer({"x-andon-key": key}) == "default"
    door.clock.now += FRESH_SECONDS + 0.1
    for _ in range(50):
        assert door.answer({"x-andon-key": key}) == "default"
    assert door.answer({"x-andon-key": "andon_0_0"}) == 503
    answering.set()


def test_when_a_key_was_last_used_is_written_down_within_a_minute(door: Door, control: ControlStore) -> None:
    used, unused = door.key("used"), door.key("unused")
    assert door.answer({"x-andon-key": used}) == "default"
    door.clock.now += MARK_USED_SECONDS + FRESH_SECONDS
    assert door.answer({"x-andon-key": used}) == "default"
    door.admission.close()
    found = {key.name: key.last_used_at for key in read_keys(control)}
    assert found["used"] is not None
    assert NOW <= found["used"] <= datetime.now(UTC)
    assert found["unused"] is None
    assert unused


def test_limits_of_a_key_go_before_those_of_the_settings_and_each_key_has_its_own(control: ControlStore) -> None:
    door = Door(control, CollectorSettings(items_per_second=10, burst_items=100))
    keys = {
        "none": door.key(),
        "rate": door.key(items_per_second=2.0),
        "both": door.key(items_per_second=2.0, burst_items=3),
        "burst": door.key(burst_items=3),
    }
    buckets = {name: door.loop.run(door.admission.admit({"x-andon-key": key})).bucket for name, key in keys.items()}
    assert {name: bucket.rate for name, bucket in buckets.items() if bucket} == {
        "none": Rate(10, 100),
        "rate": Rate(2, 20),
        "both": Rate(2, 3),
        "burst": Rate(10, 3),
    }
    assert door.loop.run(door.admission.admit({"x-andon-key": keys["none"]})).bucket is buckets["none"]
    keyless = door.loop.run(door.admission.admit({})).bucket
    assert keyless is not None
    assert keyless is not buckets["none"]
    door.admission.close()
    door.loop.close()
