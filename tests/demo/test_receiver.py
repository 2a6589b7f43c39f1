"""The webhook receiver: a genuine message is told once, anything else is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from alerts.webhook import WebhookChannel
from demo.receiver import MAX_BODY_BYTES, Received, WebhookReceiver
from demo.settings import new_secret
from settings import WebhookChannelSettings

SECRET = new_secret()
MESSAGE = {
    "type": "alert.firing",
    "data": {
        "rule": "check-failed",
        "labels": {"check": "observability"},
        "value": "FAIL",
        "summary": "doc-summaries is silent\n",
    },
}


@pytest.fixture
def told() -> list[Received]:
    return []


@pytest.fixture
def receiver(told: list[Received]) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(SECRET, told.append) as receiver:
        yield receiver


def signed(body: str, *, secret: str = SECRET, at: datetime | None = None, message_id: str = "msg_1") -> dict[str, str]:
    # The reference implementation reads the moment as a naive UTC time.
    at = at or datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }


def post(receiver: WebhookReceiver, body: str, headers: dict[str, str]) -> int:
    return httpx.post(receiver.url, content=body.encode(), headers=headers).status_code


def test_a_genuine_message_is_told_in_one_line(receiver: WebhookReceiver, told: list[Received]) -> None:
    body = json.dumps(MESSAGE)
    assert post(receiver, body, signed(body)) == 204
    assert [message.line for message in told] == [
        "webhook: alert.firing check-failed observability FAIL doc-summaries is silent  (signature ok)"
    ]


def test_what_our_own_channel_sends_is_genuine(receiver: WebhookReceiver, told: list[Received]) -> None:
    settings = WebhookChannelSettings.model_validate(
        {"name": "demo", "url": receiver.url, "secret": SECRET, "allow_private": ("127.0.0.0/8",)}
    )
    outcome = WebhookChannel.from_settings(settings).send("msg_2", json.dumps(MESSAGE), datetime.now(UTC))
    assert outcome.status == 204
    assert [message.message_id for message in told] == ["msg_2"]


def test_a_retry_is_told_once(receiver: WebhookReceiver, told: list[Received]) -> None:
    body = json.dumps(MESSAGE)
    assert [post(receiver, body, signed(body)) for _ in range(2)] == [204, 204]
    assert len(told) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(json.dumps(MESSAGE), secret=new_secret()),
        signed(json.dumps(MESSAGE), at=datetime.now(UTC) - timedelta(minutes=6)),
        signed("{}"),
        signed(json.dumps(MESSAGE)) | {"webhook-signature": "v1"},
        signed(json.dumps(MESSAGE)) | {"webhook-signature": "v1,%%%"},
    ],
    ids=["unsigned", "other secret", "old", "other body", "no signature", "not base64"],
)
def test_a_message_that_is_not_genuine_is_refused_and_not_told(
    receiver: WebhookReceiver, told: list[Received], headers: dict[str, str]
) -> None:
    assert post(receiver, json.dumps(MESSAGE), headers) == 401
    assert told == []


@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"type": "alert.firing", "data": 7}'])
def test_a_genuine_message_that_cannot_be_read_is_refused(
    receiver: WebhookReceiver, told: list[Received], body: str
) -> None:
    assert post(receiver, body, signed(body)) == 400
    assert told == []


def test_other_paths_and_long_bodies_are_refused(receiver: WebhookReceiver) -> None:
    body = json.dumps(MESSAGE)
    assert httpx.post(receiver.url + "/x", content=body, headers=signed(body)).status_code == 404
    assert httpx.get(receiver.url).status_code == 501
    long = "x" * (MAX_BODY_BYTES + 1)
    assert post(receiver, long, signed(long)) == 413


def test_a_new_secret_is_a_standard_webhooks_secret() -> None:
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"), validate=True)) == 32
    assert new_secret() != new_secret()
