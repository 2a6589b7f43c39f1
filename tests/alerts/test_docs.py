"""docs/alerts.md says what the code does: its configuration loads, its receiver runs, its numbers are the code's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts import ssrf
from alerts.message import MessageType, Notice, body
from alerts.retry import LADDER_SECONDS, MAX_ATTEMPTS
from alerts.rules import default_rules, fingerprint, load_rules
from alerts.webhook import WebhookChannel
from settings.model import AlertRule, Settings, WebhookChannelSettings
from tests.alerts.receiver import SECRET, webhook_settings

TEXT = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_configuration_loads(block: str) -> None:
    settings = Settings.model_validate(tomllib.loads(block)).alerts
    for channel in settings.channels:
        assert WebhookChannel.from_settings(channel, resolver=unresolved).name == channel.name
    assert load_rules(settings, 15, [channel.name for channel in settings.channels])


def unresolved(host: str, port: int) -> list[str]:
    return []


def test_the_message_is_what_is_sent() -> None:
    (shown,) = (json.loads(block) for block in blocks("json"))
    data = shown["data"]
    assert data["fingerprint"] == fingerprint(data["rule"], data["labels"])
    fired = datetime(2026, 3, 1, 3, 2, tzinfo=UTC)
    notice = Notice(
        type=MessageType.FIRING,
        at=fired,
        rule=data["rule"],
        severity=data["severity"],
        labels=data["labels"],
        value=data["value"],
        summary=data["summary"],
        starts_at=fired,
        ends_at=None,
        fingerprint=data["fingerprint"],
        episode=1,
        dashboard_url=data["dashboard_url"],
    )
    assert json.loads(body(notice)) == shown
    for field in ("type", "timestamp", "truncated", *data):
        assert f"`{field}`" in TEXT


def test_the_receiver_verifies_and_ignores_repeats() -> None:
    (program,) = blocks("python")
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={"WEBHOOK_SECRET": SECRET, "PORT": "0"},
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1]
        channel = WebhookChannel.from_settings(webhook_settings(f"http://127.0.0.1:{port}/"))
        stranger = WebhookChannel(
            "ops", f"http://127.0.0.1:{port}/", b"another key " * 3, ssrf.allowed_networks(["127.0.0.1"])
        )
        now = datetime.now(UTC)
        message = json.dumps({"type": "alert.test", "data": {"summary": "one"}})
        assert stranger.send("msg_0", message, now).status == 401
        assert [channel.send("msg_1", message, now).status for _ in range(2)] == [204, 204]
        assert channel.send("msg_2", message.replace("one", "two"), now).delivered
        assert [process.stdout.readline().strip() for _ in range(2)] == ["alert.test one", "alert.test two"]
    finally:
        process.kill()
        process.wait()


def test_every_field_of_a_rule_and_every_default_rule_is_described() -> None:
    for field in AlertRule.model_fields:
        assert f"`{field}`" in TEXT
    for rule in default_rules(15):
        assert f"| `{rule.name}` |" in TEXT
        assert re.search(rf"\| `{rule.name}` \|.*\| {rule.severity} \|", TEXT)
    assert {"name", "url", "secret", "kind", "allow_private"} == set(WebhookChannelSettings.model_fields)


def test_the_retries_are_those_of_the_code() -> None:
    shown = re.search(r"between nothing and ([^.]*)\.", TEXT)
    assert shown is not None
    units = {"s": 1, "min": 60, "h": 3600}
    steps = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", shown[1])]
    assert (0, *steps) == LADDER_SECONDS
    assert f"After {({10: 'ten'})[MAX_ATTEMPTS]} attempts" in TEXT


def test_the_networks_that_can_be_allowed_are_listed() -> None:
    shown = re.search(r"Only parts of (.*?) can be named", TEXT, flags=re.DOTALL)
    assert shown is not None
    listed = re.findall(r"[0-9a-f.:]+/\d+", shown[1])
    assert [str(network) for network in ssrf.allowed_networks(listed)] == [str(network) for network in ssrf._ALLOWABLE]
