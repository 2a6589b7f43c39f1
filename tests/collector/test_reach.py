"""From where the OTLP receivers may be reached: loopback, or elsewhere with keys; and TLS on both of them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import grpc
import httpx
import pytest

from tests import peers
from tests.cli.test_cli_serve import andon
from tests.collector.otlp_calls import PROTOBUF, TRACES, body_of, request_of
from tests.collector.test_auth import bearer, new_key
from tests.servers import ServeProcess, query_directory

ELSEWHERE = "0.0.0.0"  # noqa: S104
HEADERS = {"content-type": PROTOBUF}


def config(folder: Path, *lines: str) -> Path:
    path = folder / "andon.toml"
    path.write_text("\n".join(["[collector]", *lines, ""]))
    return path


def send(url: str, body: bytes, headers: dict[str, str], verify: ssl.SSLContext | bool = True) -> int:
    """The status of a post."""
    return httpx.post(url, content=body, headers=headers, verify=verify, timeout=60).status_code


@pytest.mark.parametrize("host", [ELSEWHERE, "10.1.2.3", "::", "collector.example"])
def test_beyond_loopback_nobody_may_send_without_a_key(tmp_path: Path, host: str) -> None:
    given = config(tmp_path, f'host = "{host}"')
    done = andon("serve", "--data-dir", str(tmp_path / "data"), "--config", str(given))
    assert done.returncode == 2
    assert f"collector.host = '{host}' is refused" in done.stderr
    assert "collector.require_key = true" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_dashboard_stays_on_loopback_also_where_keys_are_required(tmp_path: Path) -> None:
    given = config(tmp_path, "require_key = true")
    done = andon("serve", "--data-dir", str(tmp_path / "data"), "--config", str(given), "--host", ELSEWHERE)
    assert done.returncode == 2
    assert "there is no login yet" in done.stderr


def test_with_keys_the_receivers_are_reached_under_any_name_and_the_dashboard_is_not(tmp_path: Path) -> None:
    given = config(tmp_path, f'host = "{ELSEWHERE}"', "require_key = true")
    with ServeProcess(tmp_path / "data", given) as server:
        assert server.url.startswith("http://127.0.0.1:")
        key = new_key(server.data_dir, "shop")
        port = server.otlp_url.rsplit(":", 1)[1]
        # 127.0.0.2 is this machine as well, and not the address that a loopback listener would have.
        url = f"http://127.0.0.2:{port}/v1/traces"
        named = {**HEADERS, "host": "collector.example"}
        assert send(url, b"", named) == 401
        body, other = (body_of(request_of(TRACES, name), PROTOBUF) for name in ("far", "far-grpc"))
        assert send(url, body, {**named, **bearer(key)}) == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url.replace("127.0.0.1", "127.0.0.2"))
        with grpc.insecure_channel(f"127.0.0.2:{server.otlp_grpc_url.rsplit(':', 1)[1]}") as channel:
            channel.unary_unary(TRACES.method)(other, metadata=[("x-andon-key", key)], timeout=30)
        assert server.stop() == 0
    found = query_directory(tmp_path / "data", "SELECT service FROM spans ORDER BY service")
    assert found == [{"service": "far"}, {"service": "far-grpc"}]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    peers.require("openssl", "install the openssl command")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=andon"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


def test_with_a_certificate_both_receivers_speak_tls_and_nothing_else(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    given = config(tmp_path, f'tls_cert = "{cert}"', f'tls_key = "{key}"')
    with ServeProcess(tmp_path / "data", given) as server:
        assert server.otlp_url.startswith("https://127.0.0.1:")
        assert server.otlp_grpc_url.startswith("https://127.0.0.1:")
        body, other = (body_of(request_of(TRACES, name), PROTOBUF) for name in ("tls", "tls-grpc"))
        trusting = ssl.create_default_context(cafile=str(cert))
        url = f"{server.otlp_url}/v1/traces"
        assert send(url, body, HEADERS, trusting) == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            send(url, body, HEADERS)
        with pytest.raises(httpx.TransportError):
            send(url.replace("https", "http"), body, HEADERS)
        address = server.otlp_grpc_url.removeprefix("https://")
        credentials = grpc.ssl_channel_credentials(cert.read_bytes())
        with grpc.secure_channel(address, credentials) as channel:
            channel.unary_unary(TRACES.method)(other, timeout=30)
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(TRACES.method)(body, timeout=5)
        assert server.stop() == 0
    found = query_directory(tmp_path / "data", "SELECT service FROM spans ORDER BY service")
    assert found == [{"service": "tls"}, {"service": "tls-grpc"}]


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    for lines, says in (
        ([f'tls_cert = "{cert}"'], "are set together"),
        ([f'tls_cert = "{tmp_path}/none.pem"', f'tls_key = "{key}"'], "none.pem"),
        ([f'tls_cert = "{cert}"', f'tls_key = "{cert}"'], "cannot be used"),
        ([f'tls_cert = "{cert}"', f'tls_key = "{locked}"'], "without a password"),
    ):
        done = andon("serve", "--data-dir", str(tmp_path / "data"), "--config", str(config(tmp_path, *lines)))
        assert done.returncode == 2, says
        assert says in done.stderr
        assert "Traceback" not in done.stderr
