"""The errors of the stores; each message says what was found, what was expected and what to do."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import make_url


class StoreError(RuntimeError):
    """A store cannot be opened or used."""


class NewerDataError(StoreError):
    """The data was written by a newer Andon than this one."""


def parsed_url(url: str | sa.URL, setting: str) -> sa.URL:
    """A database URL, parsed.

    Raises:
        StoreError: it is none; the text is not repeated, it may hold a password.
    """
    try:
        return make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError(
            f"{setting} is not a database URL; write dialect://user:password@host/database, or leave it out"
        ) from None
