"""The one query that a CDC source is asked, over one short read-only connection, and its rows as typed values.

One text serves PostgreSQL 13 to 18: columns that older servers lack are read through `to_jsonb` and come out NULL.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from checklist.slots import Slot
from checklist.source import Server
from settings import CdcSource

APPLICATION_NAME = "andon-checklist"
STATISTICS_SINCE = 140000

# Every server row comes even when there is no slot: hence the outer joins. `clock_timestamp` and not `now`: ages are
# taken when the row is read. Prepared transactions hold WAL back as well and appear in no session.
QUERY = """
WITH oldest AS (
  SELECT pid, NULL AS gid, xact_start AS began FROM pg_stat_activity WHERE backend_xid IS NOT NULL
  UNION ALL
  SELECT NULL, gid, prepared FROM pg_prepared_xacts
  ORDER BY began LIMIT 1
), server AS (
  SELECT current_setting('wal_level') AS wal_level,
         (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_mb,
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS now_lsn,
         pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all_sessions,
         (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS may_replicate,
         extract(epoch FROM pg_postmaster_start_time())::text AS started_at,
         (SELECT pid FROM oldest) AS oldest_pid,
         (SELECT gid FROM oldest) AS oldest_gid,
         (SELECT extract(epoch FROM clock_timestamp() - began) FROM oldest) AS oldest_seconds
)
SELECT c.wal_level, c.keep_mb, c.sees_all_sessions, c.may_replicate, c.started_at,
       c.oldest_pid, c.oldest_gid, c.oldest_seconds,
       pg_wal_lsn_diff(c.now_lsn, '0/0')::bigint AS now_lsn,
       r.slot_name, r.plugin, r.database, r.active, r.wal_status, r.safe_wal_size,
       pg_wal_lsn_diff(r.restart_lsn, '0/0')::bigint AS restart_lsn,
       pg_wal_lsn_diff(r.confirmed_flush_lsn, '0/0')::bigint AS confirmed_lsn,
       pg_wal_lsn_diff(c.now_lsn, r.restart_lsn)::bigint AS retained_bytes,
       pg_wal_lsn_diff(c.now_lsn, r.confirmed_flush_lsn)::bigint AS unconfirmed_bytes,
       extract(epoch FROM clock_timestamp() - s.reply_time) AS reply_age_seconds,
       extract(epoch FROM clock_timestamp() - (to_jsonb(r)->>'inactive_since')::timestamptz) AS inactive_seconds,
       to_jsonb(r)->>'invalidation_reason' AS invalidation_reason,
       (to_jsonb(r)->>'conflicting')::bool AS conflicting,
       (to_jsonb(r)->>'synced')::bool AS synced,
       age(r.catalog_xmin) AS catalog_xmin_age,
       {counted}
FROM server c
LEFT JOIN pg_replication_slots r ON r.slot_type = 'logical' AND NOT r.temporary
LEFT JOIN pg_stat_replication s ON s.pid = r.active_pid
{statistics}
ORDER BY r.slot_name
"""
_COUNTED = "t.total_txns AS decoded_transactions, t.stats_reset::text AS stats_reset"
_NOT_COUNTED = "NULL::bigint AS decoded_transactions, NULL AS stats_reset"
_STATISTICS = "LEFT JOIN pg_stat_replication_slots t ON t.slot_name = r.slot_name"


class UnusableUrlError(ValueError):
    """The URL of a source is no PostgreSQL URL; the message does not repeat it, for it may hold a password."""


def ask(source: CdcSource) -> tuple[str, Server, tuple[Slot, ...]]:
    """Ask a source once; returns where it was reached, its server row and its logical slots.

    Raises:
        UnusableUrlError: the URL cannot be read.
        psycopg.Error: it cannot be reached, does not answer in time, or refuses.
    """
    conninfo = _conninfo(source)
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        connection.read_only = True
        with cut_off(connection, 2 * source.statement_timeout_seconds):
            milliseconds = int(source.statement_timeout_seconds * 1000)
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            rows = connection.execute(_query(connection.info.server_version)).fetchall()
        info = connection.info
        address = f"{info.host}:{info.port}/{info.dbname} as {info.user}"
        server = _server(rows[0], info.server_version)
        return address, server, tuple(_slot(row) for row in rows if row["slot_name"] is not None)


def redacted(error: psycopg.Error, source: CdcSource) -> str:
    """The error in one line, without the password or the URL of the source."""
    text = " ".join(str(error).split()) or type(error).__name__
    url = source.url.get_secret_value()
    secrets = {url}
    with suppress(psycopg.ProgrammingError):
        password = conninfo_to_dict(url).get("password")
        if password:
            secrets |= {str(password), quote(str(password), safe="")}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text[:300]


def _conninfo(source: CdcSource) -> str:
    url = source.url.get_secret_value()
    # SQLAlchemy's spelling is accepted as well: it is what the control store is given.
    scheme, separator, rest = url.partition("://")
    if separator and scheme.startswith(("postgresql+", "postgres+")):
        url = f"postgresql://{rest}"
    try:
        if not url.startswith(("postgresql://", "postgres://")):
            raise psycopg.ProgrammingError
        return make_conninfo(url, connect_timeout=source.connect_timeout_seconds, application_name=APPLICATION_NAME)
    except psycopg.ProgrammingError:
        raise UnusableUrlError(
            f"the url of source {source.name!r} is not a PostgreSQL URL; write "
            "postgresql://user:password@host:5432/database in checklist.cdc"
        ) from None


def _query(server_version: int) -> str:
    if server_version >= STATISTICS_SINCE:
        return QUERY.format(counted=_COUNTED, statistics=_STATISTICS)
    return QUERY.format(counted=_NOT_COUNTED, statistics="")


@contextmanager
def cut_off(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Close the connection's socket after `seconds`: a server that hangs never reaches its own statement_timeout."""

    def shut() -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as handle:
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _server(row: Mapping[str, Any], version: int) -> Server:
    return Server(
        version=version,
        wal_level=row["wal_level"],
        keep_mb=row["keep_mb"],
        now_lsn=row["now_lsn"],
        sees_all_sessions=row["sees_all_sessions"],
        may_replicate=bool(row["may_replicate"]),
        oldest_transaction_seconds=_seconds(row["oldest_seconds"]),
        oldest_transaction_pid=row["oldest_pid"],
        oldest_prepared=row["oldest_gid"],
    )


def _slot(row: Mapping[str, Any]) -> Slot:
    return Slot(
        name=row["slot_name"],
        plugin=row["plugin"],
        database=row["database"],
        active=row["active"],
        wal_status=row["wal_status"] or "",
        safe_wal_bytes=row["safe_wal_size"],
        restart_lsn=row["restart_lsn"],
        confirmed_lsn=row["confirmed_lsn"],
        retained_bytes=row["retained_bytes"],
        unconfirmed_bytes=row["unconfirmed_bytes"],
        reply_age_seconds=_seconds(row["reply_age_seconds"]),
        inactive_seconds=_seconds(row["inactive_seconds"]),
        invalidation_reason=row["invalidation_reason"],
        conflicting=bool(row["conflicting"]),
        catalog_xmin_age=row["catalog_xmin_age"],
        decoded_transactions=row["decoded_transactions"],
        counted_since=f"{row['started_at']} {row['stats_reset'] or ''}".strip(),
        synced=bool(row["synced"]),
    )


def _seconds(value: Any) -> float | None:
    return None if value is None else max(0.0, float(value))
