"""Keys: who may send, to which project, and how much. They stand in the control store; a secret only as its hash.

A key reads `andon_<id>_<secret>`. The secret is 256 random bits, so that one pass of SHA-256 keeps it as safe as a slow
hash would a password; it is shown when the key is made and never again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from store.control import Base, ControlStore, UtcDateTime
from store.errors import StoreError

DEFAULT_PROJECT: Final = "default"
_MARK: Final = "andon"
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MOST_NAME_LETTERS: Final = 128


class Scope(StrEnum):
    """What a key allows."""

    INGEST = "ingest"


class KeyRecord(Base):
    """A key as it is stored."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    secret_hash: Mapped[bytes]
    project: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(MOST_NAME_LETTERS))
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    items_per_second: Mapped[float | None]
    burst_items: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Key:
    """A key without its secret. Limits are items per second and items at once; None leaves them to the settings."""

    id: str
    secret_hash: bytes
    project: str
    name: str
    scopes: frozenset[str]
    items_per_second: float | None
    burst_items: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def prefix(self) -> str:
        """What may be shown of it, and is enough to find it."""
        return f"{_MARK}_{self.id}"

    def is_valid(self, secret: str, now: datetime) -> bool:
        """Whether `secret` is this key's, in constant time, and the key is neither revoked nor expired."""
        known = hmac.compare_digest(self.secret_hash, _hashed(secret))
        return known and self.state(now) == "active"

    def state(self, now: datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key as it is sent; None for what is no key."""
    mark, _, rest = text.partition("_")
    identity, _, secret = rest.partition("_")
    return (identity, secret) if mark == _MARK and identity and secret else None


def create_key(
    control: ControlStore,
    *,
    name: str,
    now: datetime,
    project: str = DEFAULT_PROJECT,
    scopes: Iterable[Scope] = (Scope.INGEST,),
    expires_at: datetime | None = None,
    items_per_second: float | None = None,
    burst_items: int | None = None,
) -> tuple[Key, str]:
    """Make a key; returns it and, this once, its whole text.

    Raises:
        StoreError: a project or name that cannot be used, or an end that has passed.
    """
    if not _PROJECT.fullmatch(project):
        raise StoreError(
            f"project {project!r} cannot be used: write 1 to 63 of a-z, 0-9, '.', '_' and '-', "
            "the first a letter or a digit"
        )
    if not 0 < len(name) <= MOST_NAME_LETTERS or not name.isprintable():
        raise StoreError(f"a key's name has 1 to {MOST_NAME_LETTERS} printable characters (given: {name!r})")
    if expires_at is not None and expires_at <= now:
        raise StoreError(f"the key would have expired already: {expires_at.isoformat()}")
    secret = secrets.token_hex(32)
    record = KeyRecord(
        id=secrets.token_hex(6),
        secret_hash=_hashed(secret),
        project=project,
        name=name,
        scopes=sorted(scopes),
        items_per_second=items_per_second,
        burst_items=burst_items,
        created_at=now,
        expires_at=expires_at,
    )
    with control.write() as session:
        session.add(record)
    return _key(record), f"{_MARK}_{record.id}_{secret}"


def read_keys(control: ControlStore) -> list[Key]:
    """Every key, the oldest first."""
    with control.read() as session:
        found = session.scalars(sa.select(KeyRecord).order_by(KeyRecord.created_at, KeyRecord.id))
        return [_key(record) for record in found]


def revoke_key(control: ControlStore, which: str, now: datetime) -> Key:
    """Revoke a key by its id, its prefix, or its whole text; one that is revoked stays as it is.

    Raises:
        StoreError: there is none.
    """
    parts = which.split("_")
    identity = parts[1] if parts[0] == _MARK and len(parts) > 1 else which
    with control.write() as session:
        record = session.get(KeyRecord, identity)
        if record is None:
            raise StoreError(f"no key has the id {identity!r}; `andon keys list` shows those that there are")
        record.revoked_at = record.revoked_at or now
        return _key(record)


def mark_used(control: ControlStore, used: Mapping[str, datetime]) -> None:
    """Write down when keys, by id, were last used."""
    with control.write() as session:
        for identity, at in used.items():
            session.execute(sa.update(KeyRecord).where(KeyRecord.id == identity).values(last_used_at=at))


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _key(record: KeyRecord) -> Key:
    return Key(
        id=record.id,
        secret_hash=record.secret_hash,
        project=record.project,
        name=record.name,
        scopes=frozenset(record.scopes),
        items_per_second=record.items_per_second,
        burst_items=record.burst_items,
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
        last_used_at=record.last_used_at,
    )
