"""One attempt: what is posted, how it is signed, and how each answer is read."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from alerts.channel import Outcome, load_channels
from alerts.message import MAX_BODY_BYTES, MessageType, Notice, body
from alerts.webhook import MAX_RESPONSE_BYTES, WebhookChannel, sign
from settings.model import SettingsError
from tests.alerts.receiver import SECRET, START, Answer, Receiver, running_receiver, webhook_settings

KEY = bytes(range(32))


def channel(receiver: Receiver, **more: object) -> WebhookChannel:
    return WebhookChannel.from_settings(webhook_settings(receiver.url, **more))


def answering(receiver: Receiver, answer: Answer) -> Outcome:
    receiver.respond = lambda _number: answer
    return channel(receiver).send("msg_1", "{}", START)


def test_an_attempt_carries_the_three_headers_and_verifies_with_the_reference_library(receiver: Receiver) -> None:
    text = '{"type": "alert.test", "note": "Übung — 試験"}'
    outcome = channel(receiver).send("msg_77", text, datetime.now(UTC))
    assert outcome == Outcome(204)
    (request,) = receiver.requests
    assert request.path == "/hook"
    assert request.headers["webhook-id"] == "msg_77"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Andon/")
    assert Webhook(SECRET).verify(request.body, request.headers) == json.loads(text)
    for changed in (request.body.replace(b"test", b"firing"), request.body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(changed, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body, {**request.headers, "webhook-id": "msg_78"})


@given(st.text(min_size=1), st.integers(0, 4_000_000_000), st.binary(min_size=24, max_size=64))
def test_signatures_equal_those_of_the_reference_library(text: str, unix_seconds: int, key: bytes) -> None:
    moment = datetime.fromtimestamp(unix_seconds + 0.75, UTC)
    secret = "whsec_" + base64.b64encode(key).decode()
    assert sign(key, "msg_1", moment, text.encode()) == Webhook(secret).sign("msg_1", moment, text)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_only_success_is_success(receiver: Receiver, status: int) -> None:
    assert answering(receiver, Answer(status)).delivered


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500, 502, 503, 504])
def test_other_answers_are_failures(receiver: Receiver, status: int) -> None:
    assert answering(receiver, Answer(status)) == Outcome(status, f"the receiver answered {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_failures_and_are_not_followed(receiver: Receiver, status: int) -> None:
    outcome = answering(receiver, Answer(status, {"location": receiver.url + "/elsewhere"}))
    assert "redirects are not followed" in str(outcome.error)
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_gone_is_told_apart(receiver: Receiver) -> None:
    assert answering(receiver, Answer(410)).gone


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Sun, 01 Mar 2026 03:01:30 GMT", 90),
        ("Sun, 01 Mar 2026 02:00:00 GMT", 0),
        ("99999999999999999999", 24 * 3600),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_up_to_a_day(
    receiver: Receiver, header: str, seconds: int | None
) -> None:
    outcome = answering(receiver, Answer(503, {"retry-after": header}))
    assert outcome.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_an_endless_answer_is_read_no_further_than_needed() -> None:
    """The receiver sends for ever; the attempt ends after 64 KiB with the status it saw."""
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096, limit=10_000) as (url, sent):
        assert WebhookChannel.from_settings(webhook_settings(url)).send("msg_1", "{}", START) == Outcome(200)
    # the socket buffers of both ends hold some megabytes at most; 40 MB would have come
    assert MAX_RESPONSE_BYTES <= sent[0] < 20_000_000


def test_a_receiver_that_drips_is_given_up_at_the_deadline() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", limit=10_000, pause=0.02) as (url, _):
        impatient = WebhookChannel("ops", url, KEY, webhook_networks(), timeout_seconds=0.3)
        assert impatient.send("msg_1", "{}", START) == Outcome(error="no answer within 0.3 s")


def test_nobody_there_is_a_failure_without_status() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    outcome = WebhookChannel.from_settings(webhook_settings(url)).send("msg_1", "{}", START)
    assert outcome.status is None
    assert "ConnectError" in str(outcome.error)


def test_an_answer_that_is_not_http_is_a_failure() -> None:
    with raw_server(b"SSH-2.0-OpenSSH\r\n", b"", limit=0) as (url, _):
        outcome = WebhookChannel.from_settings(webhook_settings(url)).send("msg_1", "{}", START)
    assert outcome.status is None
    assert not outcome.delivered


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the certificate is made with the openssl command")
def test_tls_checks_the_name_although_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test "
        f"-addext subjectAltName=DNS:hooks.example.com -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    names_seen: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.sni_callback = lambda _socket, name, _context: names_seen.append(name)
    trust = ssl.create_default_context(cafile=str(certificate))
    with running_receiver(server) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]

        def to(host: str, context: ssl.SSLContext | None) -> Outcome:
            made = WebhookChannel(
                "ops",
                f"https://{host}:{port}/hook",
                KEY,
                webhook_networks(),
                resolver=lambda _host, _port: ["127.0.0.1"],
                trust=context,
            )
            return made.send("msg_1", "{}", START)

        assert to("hooks.example.com", trust) == Outcome(204)
        assert "CERTIFICATE_VERIFY_FAILED" in str(to("other.example.com", trust).error)
        assert "CERTIFICATE_VERIFY_FAILED" in str(to("hooks.example.com", None).error)
    assert names_seen == ["hooks.example.com", "other.example.com", "hooks.example.com"]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("hunter2hunter2hunter2hunter2", "does not begin with whsec_"),
        ("whsec_not/base64!", "is not base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "has 23 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "has 65 bytes"),
    ],
)
def test_a_weak_or_broken_secret_is_refused_without_repeating_it(secret: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        WebhookChannel.from_settings(webhook_settings("https://hooks.example.com/", secret=secret))
    assert message in str(refused.value)
    assert secret.removeprefix("whsec_") not in str(refused.value)


def test_channels_come_from_entry_points(receiver: Receiver) -> None:
    found = load_channels([webhook_settings(receiver.url, "ops"), webhook_settings(receiver.url, "team")])
    assert [type(made) for made in found.values()] == [WebhookChannel, WebhookChannel]
    with pytest.raises(SettingsError, match=r"no kind 'pager'; installed kinds: .*webhook"):
        load_channels([webhook_settings(receiver.url, kind="pager")])
    with pytest.raises(SettingsError, match="two channels are named 'ops'"):
        load_channels([webhook_settings(receiver.url), webhook_settings(receiver.url)])


def notice(**more: object) -> Notice:
    values: dict[str, object] = {
        "type": MessageType.RESOLVED,
        "at": START + timedelta(seconds=90.5),
        "rule": "slow",
        "severity": "error",
        "labels": {"pipeline": "rag"},
        "value": 1.5,
        "summary": "slow resolved",
        "starts_at": START,
        "ends_at": START + timedelta(seconds=90.5),
        "fingerprint": "ab" * 32,
        "episode": 2,
        "dashboard_url": "http://127.0.0.1:8300/",
    }
    return Notice(**{**values, **more})  # type: ignore[arg-type]


def test_the_message_is_the_documented_document() -> None:
    assert json.loads(body(notice())) == {
        "type": "alert.resolved",
        "timestamp": "2026-03-01T03:01:30.500Z",
        "data": {
            "rule": "slow",
            "severity": "error",
            "status": "resolved",
            "labels": {"pipeline": "rag"},
            "value": 1.5,
            "summary": "slow resolved",
            "starts_at": "2026-03-01T03:00:00.000Z",
            "ends_at": "2026-03-01T03:01:30.500Z",
            "fingerprint": "ab" * 32,
            "episode": 2,
            "dashboard_url": "http://127.0.0.1:8300/",
        },
    }


def test_a_message_too_large_is_cut_and_says_so() -> None:
    text = body(notice(labels={f"k{number:03}": "\x01" * 900 for number in range(200)}, summary="é" * 30_000))
    assert len(text.encode()) < MAX_BODY_BYTES
    data = json.loads(text)["data"]
    assert data["truncated"] is True
    assert data["summary"].endswith("…")


storable = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


@given(
    st.dictionaries(storable, storable, max_size=60),
    storable,
    storable,
    st.one_of(st.none(), st.floats(-1e9, 1e9), storable),
)
def test_every_message_is_json_under_20_kb(labels: dict[str, str], rule: str, summary: str, value: object) -> None:
    text = body(notice(labels=labels, rule=rule, summary=summary, value=value))
    assert len(text.encode()) < MAX_BODY_BYTES
    json.loads(text)


def webhook_networks() -> tuple:
    from alerts.ssrf import allowed_networks

    return allowed_networks(["127.0.0.0/8"])


class raw_server:  # noqa: N801  used like a function
    """Sends `head`, then `chunk` up to `limit` times, whatever it is asked; counts the bytes that left."""

    def __init__(self, head: bytes, chunk: bytes, limit: int, pause: float = 0) -> None:
        self._parts, self._limit, self._pause = (head, chunk), limit, pause
        self._sent = [0]
        self._stop = threading.Event()

    def __enter__(self) -> tuple[str, list[int]]:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/", self._sent

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        head, chunk = self._parts
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(head)
                for _ in range(self._limit):
                    if self._stop.wait(self._pause):
                        return
                    connection.sendall(chunk)
                    self._sent[0] += len(chunk)
            except OSError:
                return
