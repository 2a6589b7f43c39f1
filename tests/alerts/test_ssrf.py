"""The guard: which URLs may be posted to, judged by what they resolve to and never by how they are written."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest

from alerts.ssrf import ForbiddenTargetError, Target, UnresolvedError, allowed_networks, judge
from alerts.webhook import WebhookChannel
from settings.model import SettingsError
from tests.alerts.receiver import START, Receiver, webhook_settings

PUBLIC = "93.184.216.34"


def names(**table: Sequence[str]) -> object:
    def resolver(host: str, port: int) -> Sequence[str]:
        try:
            return table[host.replace(".", "_").replace("-", "_")]
        except KeyError:
            raise OSError(f"no such name: {host}") from None

    return resolver


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::1",
        "fd12:3456::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "2001::1",
        "64:ff9b:1::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "not an address",
    ],
)
def test_an_address_off_the_public_internet_is_refused_alone_and_among_public_ones(address: str) -> None:
    for answers in ([address], [PUBLIC, address], [address, PUBLIC]):
        with pytest.raises(ForbiddenTargetError, match="resolves to"):
            judge("https://hooks.example.com/x", resolver=lambda _host, _port, found=answers: found)


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_a_public_address_is_returned_as_the_one_to_connect_to(address: str) -> None:
    target = judge("https://hooks.example.com/a/b?c=d#e", resolver=lambda _host, _port: [address])
    assert target == Target("https", "hooks.example.com", 443, "/a/b?c=d", (address,))


@pytest.mark.parametrize(
    "url",
    [
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://localhost/",
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://10.1.2.3:8443/",
    ],
)
def test_every_way_of_writing_a_private_address_is_refused(url: str) -> None:
    """By the system's own resolver, which reads octal, hexadecimal and short forms as a connection would."""
    with pytest.raises((ForbiddenTargetError, UnresolvedError)):
        judge(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.example.com/", "https only"),
        ("https://hooks.example.com:22/", "port 22"),
        ("https://hooks.example.com:80/", "port 80"),
        ("ftp://hooks.example.com/", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://hooks.example.com/", "scheme 'gopher'"),
        ("https://user:secret@hooks.example.com/", "user name or password"),
        ("https://hooks.example.com@127.0.0.1/", "user name or password"),
        ("https://@hooks.example.com/", "user name or password"),
        ("https:///path", "names no host"),
        ("https://hooks.example.com\\@127.0.0.1/", "backslashes"),
        ("https://hooks.example.com/a b", "blanks"),
        ("https://hooks.example.com/\r\nHost: x", "control characters"),
        ("https://hooks.example.com:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
    ],
)
def test_a_url_of_the_wrong_shape_is_refused(url: str, message: str) -> None:
    with pytest.raises(ForbiddenTargetError) as refused:
        judge(url, resolver=lambda _host, _port: [PUBLIC])
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_second_https_port_is_allowed() -> None:
    assert judge("https://hooks.example.com:8443/", resolver=lambda _host, _port: [PUBLIC]).port == 8443


def test_metadata_names_are_refused_by_what_they_resolve_to() -> None:
    resolver = names(metadata_google_internal=["169.254.169.254"], instance_data=["169.254.169.254"])
    for host in ("metadata.google.internal", "instance-data"):
        with pytest.raises(ForbiddenTargetError, match="metadata address"):
            judge(f"https://{host}/", resolver=resolver)


def test_an_allowed_network_opens_http_and_every_port_but_only_inside_it() -> None:
    networks = allowed_networks(["10.1.0.0/16", "fd00:1::/32"])
    for url, address in (("http://relay.internal:9000/x", "10.1.2.3"), ("http://relay.internal/", "fd00:1::5")):
        assert judge(url, networks, lambda _host, _port, found=address: [found]).addresses == (address,)
    with pytest.raises(ForbiddenTargetError, match="public internet"):
        judge("http://relay.internal/", networks, lambda _host, _port: ["10.2.0.1"])
    with pytest.raises(ForbiddenTargetError, match="https only"):
        judge("http://relay.internal/", networks, lambda _host, _port: ["10.1.2.3", PUBLIC])
    with pytest.raises(ForbiddenTargetError, match="port 9000"):
        judge("https://relay.internal:9000/", networks, lambda _host, _port: [PUBLIC])
    assert judge("https://relay.internal/", networks, lambda _host, _port: ["::ffff:10.1.2.3"])


def test_metadata_stays_forbidden_inside_an_allowed_network() -> None:
    with pytest.raises(ForbiddenTargetError, match="never allowed"):
        judge("http://169.254.169.254/", allowed_networks(["169.254.0.0/16"]))


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "8.8.8.0/24", "10.0.0.0/7", "10.0.0.1/8", "intranet", ""])
def test_only_private_networks_can_be_allowed(text: str) -> None:
    with pytest.raises(ForbiddenTargetError, match="allow_private"):
        allowed_networks([text])


def test_an_allowed_network_is_read_as_written() -> None:
    assert allowed_networks(["127.0.0.1/32", "::1"]) == (
        ipaddress.ip_network("127.0.0.1/32"),
        ipaddress.ip_network("::1/128"),
    )


def test_a_name_without_an_address_is_not_forbidden_but_unresolved() -> None:
    for resolver in (names(), lambda _host, _port: []):
        with pytest.raises(UnresolvedError, match=r"hooks.example.com does not resolve"):
            judge("https://hooks.example.com/", resolver=resolver)


def test_a_channel_is_refused_at_load_and_its_secret_and_path_are_not_repeated() -> None:
    for url in ("https://127.0.0.1/T0/secret", "http://hooks.example.com/T0/secret", "https://10.0.0.9:8080/T0/secret"):
        with pytest.raises(SettingsError) as refused:
            WebhookChannel.from_settings(
                webhook_settings(url, allow_private=()),
                resolver=lambda host, _port: [host if host[0].isdigit() else PUBLIC],
            )
        assert "alerts.channels ('ops')" in str(refused.value)
        assert "T0" not in str(refused.value)


def test_a_start_does_not_depend_on_dns() -> None:
    channel = WebhookChannel.from_settings(webhook_settings("https://hooks.example.com/x"), resolver=names())
    assert (
        channel.send("msg_1", "{}", START).error
        == "hooks.example.com does not resolve: no such name: hooks.example.com"
    )


def test_a_name_that_turns_private_after_loading_is_refused_at_the_attempt(receiver: Receiver) -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    channel = WebhookChannel.from_settings(
        webhook_settings("https://rebind.example.com/x", allow_private=()), resolver=lambda _host, _port: answers.pop(0)
    )
    outcome = channel.send("msg_1", "{}", START)
    assert not outcome.delivered
    assert "127.0.0.1, which is not on the public internet" in str(outcome.error)


def test_each_attempt_resolves_once_and_connects_to_what_was_judged(receiver: Receiver) -> None:
    """The name exists only in this resolver, and would answer with an address that nobody may reach if asked again."""
    port = int(receiver.url.split(":")[2].split("/")[0])
    answers = [["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254"]]
    channel = WebhookChannel.from_settings(
        webhook_settings(f"http://hooks.internal.example:{port}/hook"), resolver=lambda _host, _port: answers.pop(0)
    )
    assert channel.send("msg_1", "{}", START).status == 204
    assert len(answers) == 1
    assert receiver.requests[0].headers["host"] == f"hooks.internal.example:{port}"


def test_the_next_judged_address_is_tried_when_one_refuses(receiver: Receiver) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    channel = WebhookChannel.from_settings(
        webhook_settings(f"http://hooks.internal.example:{port}/hook"),
        resolver=lambda _host, _port: ["127.0.0.7", "127.0.0.1"],
    )
    assert channel.send("msg_1", "{}", START).status == 204


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert WebhookChannel.from_settings(webhook_settings(receiver.url)).send("msg_1", "{}", START).status == 204
