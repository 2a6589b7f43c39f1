"""Keys: shown once, kept as a hash, right until they expire or are revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from store.control import ControlStore
from store.errors import StoreError
from store.keys import create_key, mark_used, read_keys, revoke_key, split_key

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_key_is_its_mark_an_id_and_256_random_bits(control: ControlStore) -> None:
    key, text = create_key(control, name="shop", now=NOON, project="research")
    mark, identity, secret = text.split("_")
    assert (mark, identity, len(bytes.fromhex(secret)) * 8) == ("andon", key.id, 256)
    assert split_key(text) == (identity, secret)
    assert key.prefix == f"andon_{identity}"
    assert (key.project, key.name, key.scopes) == ("research", "shop", {"ingest"})


def test_the_secret_is_nowhere_in_the_store(control: ControlStore) -> None:
    _, text = create_key(control, name="shop", now=NOON)
    with control.engine.connect() as connection:
        stored = str(connection.execute(sa.text("SELECT * FROM api_key")).all())
    assert text.split("_")[2] not in stored


def test_only_the_right_secret_of_a_key_in_force_is_valid(control: ControlStore) -> None:
    key, text = create_key(control, name="shop", now=NOON, expires_at=NOON + HOUR)
    secret = text.split("_")[2]
    assert key.is_valid(secret, NOON)
    assert not key.is_valid(secret[:-1], NOON)
    assert not key.is_valid(secret.upper(), NOON)
    assert not key.is_valid(secret, NOON + HOUR)
    assert key.state(NOON + HOUR) == "expired"
    revoked = revoke_key(control, key.id, NOON)
    assert not revoked.is_valid(secret, NOON)
    assert revoked.state(NOON) == "revoked"


@pytest.mark.parametrize("text", ["", "andon", "andon_", "andon_abc", "andon_abc_", "andon__secret", "sk_abc_secret"])
def test_what_is_no_key_is_told_from_one(text: str) -> None:
    assert split_key(text) is None


def test_a_key_is_revoked_by_its_id_its_prefix_or_its_text_and_once(control: ControlStore) -> None:
    for form in (0, 1, 2):
        key, text = create_key(control, name="shop", now=NOON)
        which = (key.id, key.prefix, text)[form]
        assert revoke_key(control, which, NOON + HOUR).revoked_at == NOON + HOUR
        assert revoke_key(control, which, NOON + 2 * HOUR).revoked_at == NOON + HOUR
    with pytest.raises(StoreError, match="no key has the id 'abc'"):
        revoke_key(control, "abc", NOON)


def test_keys_are_listed_oldest_first_with_when_they_were_used(control: ControlStore) -> None:
    second, _ = create_key(control, name="b", now=NOON + HOUR)
    first, _ = create_key(control, name="a", now=NOON, items_per_second=0.5, burst_items=7)
    mark_used(control, {first.id: NOON + 2 * HOUR})
    found = read_keys(control)
    assert [key.name for key in found] == ["a", "b"]
    assert [key.last_used_at for key in found] == [NOON + 2 * HOUR, None]
    assert (found[0].items_per_second, found[0].burst_items) == (0.5, 7)
    assert found[1] == second


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"project": ""}, "project ''"),
        ({"project": "Big Corp"}, "project 'Big Corp'"),
        ({"project": "x" * 64}, "1 to 63"),
        ({"name": ""}, "1 to 128"),
        ({"name": "a\nb"}, "printable"),
        ({"expires_at": NOON}, "expired already"),
    ],
)
def test_what_cannot_be_is_refused(control: ControlStore, given: dict[str, object], says: str) -> None:
    with pytest.raises(StoreError, match=says):
        create_key(control, **{"name": "shop", "now": NOON, **given})  # type: ignore[arg-type]
    assert read_keys(control) == []
