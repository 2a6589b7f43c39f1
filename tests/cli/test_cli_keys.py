"""`andon keys` as its user meets it: the secret once, errors in one line, and never in the way of a running server."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.ownership import owned
from tests.cli.test_cli_serve import andon


def test_a_key_is_printed_once_and_listed_without_its_secret(tmp_path: Path) -> None:
    there = ("--data-dir", str(tmp_path / "data"))
    made = andon("keys", "create", "nightly run", "--project", "research", *there)
    assert made.returncode == 0
    text = made.stdout.strip()
    assert text.startswith("andon_")
    assert "not shown again" in made.stderr
    secret = text.split("_")[2]
    assert secret not in made.stderr
    listed = andon("keys", "list", *there)
    assert text.removesuffix(f"_{secret}") in listed.stdout
    assert "nightly run" in listed.stdout
    assert secret not in listed.stdout


def test_json_says_the_same_to_programs(tmp_path: Path) -> None:
    there = ("--json", "--data-dir", str(tmp_path / "data"))
    limits = ("--items-per-second", "2.5", "--burst", "40", "--expires", "90d")
    made = json.loads(andon("keys", "create", "a", "--project", "research", *limits, *there).stdout)
    assert made["key"] == f"{made['prefix']}_{made['key'].split('_')[2]}"
    assert (made["items_per_second"], made["burst_items"], made["scopes"]) == (2.5, 40, ["ingest"])
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(days=90)
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=5)
    del made["key"]
    assert json.loads(andon("keys", "list", *there).stdout) == [made]
    assert json.loads(andon("keys", "list", "--project", "shop", *there).stdout) == []
    revoked = json.loads(andon("keys", "revoke", made["prefix"], *there).stdout)
    assert (revoked["id"], revoked["state"]) == (made["id"], "revoked")
    (listed,) = json.loads(andon("keys", "list", *there).stdout)
    assert listed["revoked_at"] is not None


def test_the_lock_of_a_running_server_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert andon("keys", "create", "before", "--data-dir", str(data)).returncode == 0
    with owned(data):
        assert andon("keys", "create", "beside", "--data-dir", str(data)).returncode == 0
        assert len(json.loads(andon("keys", "list", "--json", "--data-dir", str(data)).stdout)) == 2
    assert not (data / "telemetry").exists()


def test_the_schema_under_a_running_server_of_another_version_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert andon("keys", "list", "--data-dir", str(data)).returncode == 0
    with sqlite3.connect(data / "control.sqlite") as connection:
        connection.execute("UPDATE andon_control_version SET version_num = '0004'")
        connection.execute("DROP TABLE api_key")
    with owned(data):
        done = andon("keys", "list", "--data-dir", str(data))
    assert done.returncode == 2
    assert "is of another version than this command" in done.stderr


def test_what_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    there = ("--data-dir", str(tmp_path / "data"))
    for words, says in (
        (("create", "a", "--project", "Big Corp"), "project 'Big Corp' cannot be used"),
        (("create", "a", "--expires", "soon"), "--expires='soon' cannot be used"),
        (("revoke", "andon_abc"), "no key has the id 'abc'"),
    ):
        done = andon("keys", *words, *there)
        assert done.returncode == 2
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_help_shows_examples() -> None:
    for command in ("create", "list", "revoke"):
        assert "andon keys" in andon("keys", command, "--help").stdout
