"""Ask a target for what it shows: one GET, bounded in time and in bytes before and after decompression.

Gives the body and the format that it is announced in; whatever else happens is a `ScrapeError` with a word for it.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
import zlib
from functools import lru_cache
from importlib.metadata import version
from typing import Final

import certifi
import httpx

from collector.answers import RefusalError
from collector.bodies import Budget, Share
from collector.scrape.answer import Format, ScrapeError, Shown
from settings import ScrapeTarget, SettingsError

ACCEPT: Final = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
_REDIRECTS: Final = 3
_SAID_CHARACTERS: Final = 200
_REDIRECTION: Final = frozenset({301, 302, 303, 307, 308})


class Fetch:
    """Asks one target.

    Args:
        target: its settings.
        budget: the bytes that the answers of all targets may hold at once.

    Raises:
        SettingsError: its ca_file holds no certificates.
    """

    def __init__(self, target: ScrapeTarget, budget: Budget) -> None:
        self._target = target
        self._budget = budget
        self._headers = {
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip",
            "User-Agent": f"Andon/{version('andon')}",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{target.deadline_seconds:g}",
            **_authorization(target),
        }
        self._trust = _trust(target)
        self._client: httpx.AsyncClient | None = None

    async def get(self) -> Shown:
        """Ask once.

        Raises:
            ScrapeError: there is no answer that can be read, or none in time.
        """
        share = Share(self._budget)
        seconds = self._target.deadline_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._get(httpx.URL(self._target.address), share)
        except TimeoutError:
            raise ScrapeError("timeout", f"no whole answer within {seconds:g} s") from None
        except RefusalError:
            raise ScrapeError("in_flight", "the answers of all targets together are too large; scraped later") from None
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise ScrapeError("connect", f"cannot connect to {self._target.instance}: {_said(error)}") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise ScrapeError("http", f"{type(error).__name__}: {_said(error)}") from None
        finally:
            share.release()

    async def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _get(self, url: httpx.URL, share: Share) -> Shown:
        client = self._client = self._client or self._opened()
        for _ in range(_REDIRECTS + 1):
            async with client.stream("GET", url, headers=self._headers) as answer:
                if answer.status_code in _REDIRECTION:
                    url = self._elsewhere(url, answer)
                    continue
                if answer.status_code != 200:
                    raise ScrapeError("http_status", f"the target answered {answer.status_code}")
                kind = _format(answer.headers.get("content-type", ""))
                return Shown(await self._body(answer, share), kind)
        raise ScrapeError("redirect", f"more than {_REDIRECTS} redirects")

    async def _body(self, answer: httpx.Response, share: Share) -> bytes:
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip"}:
            raise ScrapeError("encoding", f"content-encoding {encoding[:40]!r} was not asked for")
        limit = self._target.max_body_bytes
        gzip = zlib.decompressobj(31) if encoding == "gzip" else None
        body, wire = bytearray(), 0
        async for chunk in answer.aiter_raw(2**16):
            wire += len(chunk)
            try:
                plain = chunk if gzip is None else gzip.decompress(chunk, limit + 1 - len(body))
            except zlib.error as error:
                raise ScrapeError("gzip", f"the answer is not valid gzip: {error}") from None
            share.take(len(plain))
            body += plain
            if max(len(body), wire) > limit:
                raise ScrapeError("too_large", f"the answer is larger than max_body_bytes = {limit}")
        if gzip is not None and (not gzip.eof or gzip.unused_data):
            raise ScrapeError("gzip", "the answer is not one whole gzip member")
        return bytes(body)

    def _elsewhere(self, url: httpx.URL, answer: httpx.Response) -> httpx.URL:
        """Where a redirect leads, if it stays with the target: credentials and trust are for that one alone."""
        there = url.join(answer.headers.get("location", ""))
        if (there.scheme, there.host, there.port) != (url.scheme, url.host, url.port):
            raise ScrapeError(
                "redirect", f"the target redirects to {there.scheme}://{there.host}; set that url instead"
            )
        return there

    def _opened(self) -> httpx.AsyncClient:
        target = self._target
        return httpx.AsyncClient(
            verify=self._trust,
            # A proxy from the environment is for the world outside.
            trust_env=not _is_loopback(target.url.host or ""),
            follow_redirects=False,
            timeout=target.deadline_seconds,
            # Between two scrapes most servers close the connection; a new one cannot be found closed.
            limits=httpx.Limits(max_keepalive_connections=0),
        )


def _trust(target: ScrapeTarget) -> ssl.SSLContext:
    try:
        return _trusting(str(target.ca_file or certifi.where()))
    except OSError as error:
        place = f"[[collector.scrape]] {target.name!r}"
        raise SettingsError(
            f"{place}: ca_file = {str(target.ca_file)!r} holds no certificates in PEM: {error}"
        ) from None


@lru_cache
def _trusting(file: str) -> ssl.SSLContext:
    # Reading all certificates takes a tenth of a second, too long for the loop and for each target.
    return ssl.create_default_context(cafile=file)


def _authorization(target: ScrapeTarget) -> dict[str, str]:
    if target.bearer_token is not None:
        return {"Authorization": f"Bearer {target.bearer_token.get_secret_value()}"}
    if target.username is not None and target.password is not None:
        pair = f"{target.username}:{target.password.get_secret_value()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _format(content_type: str) -> Format:
    media_type = content_type.split(";")[0].strip().lower()
    try:
        return Format(media_type or Format.TEXT.value)
    except ValueError:
        allowed = " or ".join(each.value for each in Format)
        raise ScrapeError("content_type", f"the answer is {media_type[:80]!r}; it must be {allowed}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:_SAID_CHARACTERS]
