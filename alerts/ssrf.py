"""Keeps a webhook from reaching what only this machine can reach (server-side request forgery, CWE-918).

A URL is judged when it is loaded and again before each attempt; the addresses that passed are the ones that are
connected to, so a name that answers differently a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

PUBLIC_PORTS = (443, 8443)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
_ALLOWABLE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)


class ForbiddenTargetError(ValueError):
    """A URL that must not be posted to; the message says why and what would be allowed."""


class UnresolvedError(ConnectionError):
    """A name that has no address at the moment."""


@dataclass(frozen=True)
class Target:
    """A URL that may be posted to: `addresses` are all that may be connected to, in the resolver's order."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


def resolve(host: str, port: int) -> Sequence[str]:
    """Addresses of a host by the system's resolver.

    Raises:
        OSError: the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in found]


def allowed_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse a channel's `allow_private`.

    Raises:
        ForbiddenTargetError: not a network, or one that is not wholly outside the public internet.
    """
    networks: list[Network] = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ForbiddenTargetError(
                f"allow_private: {text!r} is not a network ({error}); write one like 10.1.0.0/16 or 127.0.0.1/32"
            ) from None
        if not any(network.version == wide.version and network.subnet_of(wide) for wide in _ALLOWABLE):  # type: ignore[arg-type]
            raise ForbiddenTargetError(
                f"allow_private: {text!r} is not inside one private network; allowed are parts of "
                f"{', '.join(map(str, _ALLOWABLE))}"
            )
        networks.append(network)
    return tuple(networks)


def judge(url: str, allow_private: Sequence[Network] = (), resolver: Resolver = resolve) -> Target:
    """Resolve a URL once and return it with the addresses that may be connected to.

    Every address of the host must be public, reached by https on port 443 or 8443; or lie in `allow_private`, where
    http and every port are allowed too. Addresses of cloud metadata services are always refused.

    Raises:
        ForbiddenTargetError: the URL or any address of its host is not allowed.
        UnresolvedError: the host has no address now.
    """
    scheme, host, port, path = _parts(url)
    try:
        answers = list(dict.fromkeys(resolver(host, port)))
    except (OSError, UnicodeError) as error:
        raise UnresolvedError(f"{host} does not resolve: {error}") from None
    if not answers:
        raise UnresolvedError(f"{host} does not resolve: no address")
    for answer in answers:
        _judge_address(answer, scheme, host, port, allow_private)
    return Target(scheme, host, port, path, tuple(answers))


def judge_shape(url: str, allow_private: Sequence[Network] = ()) -> None:
    """Refuse what can be refused without resolving a name.

    Raises:
        ForbiddenTargetError: as `judge`.
    """
    scheme, host, port, _ = _parts(url)
    if allow_private:
        return
    if scheme != "https":
        raise ForbiddenTargetError(f"{scheme}://{host}: only https is allowed, or add its network to allow_private")
    _judge_port(host, port)


def _parts(url: str) -> tuple[str, str, int, str]:
    if any(ord(character) <= 32 or character in "\\\x7f" for character in url):
        raise ForbiddenTargetError("the URL contains blanks, backslashes or control characters; percent-encode them")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ForbiddenTargetError(f"the URL cannot be read: {error}") from None
    if parts.scheme not in {"https", "http"}:
        raise ForbiddenTargetError(f"scheme {parts.scheme!r} is not allowed; use https")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenTargetError("the URL carries a user name or password; the signature is what authenticates")
    if not host:
        raise ForbiddenTargetError("the URL names no host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port if port is not None else {"https": 443, "http": 80}[parts.scheme], path


def _judge_address(text: str, scheme: str, host: str, port: int, allow_private: Sequence[Network]) -> None:
    try:
        stated = ipaddress.ip_address(text)
    except ValueError:
        raise ForbiddenTargetError(f"{host} resolves to {text!r}, which is no IP address") from None
    address = _unwrapped(stated)
    if address in _METADATA:
        raise ForbiddenTargetError(f"{host} resolves to {text}, a cloud metadata address; it is never allowed")
    if any(address in network for network in allow_private):
        return
    if not _is_public(address):
        raise ForbiddenTargetError(
            f"{host} resolves to {text}, which is not on the public internet; if that is meant, add its network to "
            "the channel's allow_private"
        )
    if scheme != "https":
        raise ForbiddenTargetError(f"{host} is on the public internet and is reached by https only")
    _judge_port(host, port)


def _judge_port(host: str, port: int) -> None:
    if port not in PUBLIC_PORTS:
        raise ForbiddenTargetError(
            f"{host}: port {port} is not allowed on the public internet; use {' or '.join(map(str, PUBLIC_PORTS))}"
        )


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64, compatible), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    embeds = address in _NAT64 or (address in _COMPATIBLE and int(address) > 1)
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if embeds else address


def _is_public(address: Address) -> bool:
    if address.is_multicast or not address.is_global:
        return False
    return isinstance(address, ipaddress.IPv4Address) or address in _GLOBAL_UNICAST
