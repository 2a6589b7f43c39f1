"""What a telemetry table is on one server and on a cluster: its statements, written once in the words of one server.

On a cluster `X` is a Distributed table over `X_local` on every node, which is Replicated inside its shard. The
migrations give their statements to these functions; queries and inserts name `X` alone and never learn of the cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from store.errors import StoreError

_LOCAL = "_local"
_REPLICA = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
# The same rows on every node, whatever its shard.
_EVERYWHERE = "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'"
_CREATE = re.compile(r"\s*CREATE TABLE (?P<name>\w+)(?P<body>\s.*)", re.DOTALL)
_ENGINE = re.compile(r"\bENGINE = (?P<engine>\w*MergeTree)(?:\((?P<arguments>[^)]*)\))?")
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_WEEK_SECONDS = 7 * 86400

# How statements run on a cluster, whoever writes them.
SETTINGS = {
    # A subquery over a Distributed table is asked once, and its answer is sent to every shard.
    "distributed_product_mode": "global",
    # An insert returns when it is on its shards, and on most replicas of each: only then may a journal forget it.
    "distributed_foreground_insert": "1",
    "insert_quorum": "auto",
    # Readers agree on a replica while it answers, so that a minute and its rows are read from the same place.
    "load_balancing": "in_order",
    "alter_sync": "2",
    "mutations_sync": "2",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster of `system.clusters` by its name, and the database that holds the tables on every node."""

    name: str
    database: str

    def __post_init__(self) -> None:
        for what, text in (("cluster", self.name), ("database", self.database)):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", text):
                raise StoreError(
                    f"telemetry_url names the {what} {text!r}; letters, digits, _ and - are allowed, "
                    f"as in clickhousedb://host/database?cluster=NAME"
                )

    @property
    def on(self) -> str:
        """The clause that sends a statement to every node."""
        return f"ON CLUSTER `{self.name}`"

    def table(self, name: str) -> str:
        """A table's name in full; statements for every node know no current database."""
        return f"`{self.database}`.`{name}`"


def created(statement: str, shard_by: str, cluster: Cluster | None) -> list[str]:
    """The statements that make a table.

    Args:
        statement: `CREATE TABLE name (...) ENGINE = MergeTree ...` as for one server.
        shard_by: expression over the row that says which shard holds it. It must not be random: a repeated insert has
            to meet its first copy.

    Raises:
        StoreError: the statement is not of that form.
    """
    if cluster is None:
        # A migration that was killed between two tables begins again.
        return [_CREATE.sub(r"CREATE TABLE IF NOT EXISTS \g<name>\g<body>", statement)]
    made = _CREATE.fullmatch(statement)
    if made is None or _ENGINE.search(statement) is None:
        raise StoreError(f"not a CREATE TABLE name (...) ENGINE = ...MergeTree: {statement.strip()[:80]!r}")
    name = made["name"]
    local = _ENGINE.sub(_replicated, made["body"])
    local = _WINDOW.sub(
        rf"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = {_WEEK_SECONDS}", local
    )
    here, there = cluster.table(name + _LOCAL), cluster.table(name)
    over = f"Distributed('{cluster.name}', '{cluster.database}', '{name}{_LOCAL}', {shard_by})"
    return [
        f"CREATE TABLE IF NOT EXISTS {here} {cluster.on}{local}",
        f"CREATE TABLE IF NOT EXISTS {there} {cluster.on} AS {here} ENGINE = {over}",
    ]


def altered(name: str, change: str, cluster: Cluster | None) -> list[str]:
    """The statements that change a table; a change of columns reaches both of its halves, any other the rows' own.

    Args:
        change: what follows `ALTER TABLE name`, for example `ADD COLUMN weight Float64` or `DROP PARTITION 20261101`.
    """
    change = re.sub(r"^ADD COLUMN (?!IF )", "ADD COLUMN IF NOT EXISTS ", change)
    change = re.sub(r"^DROP COLUMN (?!IF )", "DROP COLUMN IF EXISTS ", change)
    if cluster is None:
        return [f"ALTER TABLE {name} {change}"]
    halves = [f"ALTER TABLE {cluster.table(name + _LOCAL)} {cluster.on} {change}"]
    if re.match(r"(ADD|DROP|MODIFY|RENAME) COLUMN", change):
        halves.append(f"ALTER TABLE {cluster.table(name)} {cluster.on} {change}")
    # The half that is asked must never name a column that the other lacks.
    return halves[::-1] if change.startswith("DROP COLUMN") else halves


def dropped(name: str, cluster: Cluster | None) -> list[str]:
    """The statements that drop a table."""
    if cluster is None:
        return [f"DROP TABLE IF EXISTS {name}"]
    return [f"DROP TABLE IF EXISTS {cluster.table(half)} {cluster.on} SYNC" for half in (name, name + _LOCAL)]


def view_created(name: str, query: str, cluster: Cluster | None) -> list[str]:
    """The statements that make a view.

    Args:
        query: its SELECT, which names tables in braces, `{spans}`.
    """
    names = re.findall(r"\{(\w+)\}", query)
    if cluster is None:
        return [f"CREATE VIEW IF NOT EXISTS {name} AS {query.format(**{each: each for each in names})}"]
    query = query.format(**{each: cluster.table(each) for each in names})
    return [f"CREATE VIEW IF NOT EXISTS {cluster.table(name)} {cluster.on} AS {query}"]


def view_dropped(name: str, cluster: Cluster | None) -> list[str]:
    """The statements that drop a view."""
    if cluster is None:
        return [f"DROP VIEW IF EXISTS {name}"]
    return [f"DROP VIEW IF EXISTS {cluster.table(name)} {cluster.on} SYNC"]


def version_table_created(name: str, cluster: Cluster | None) -> list[str]:
    """The statements that make the migrations' own table where Alembic's would stand on one node alone, and let the
    node that is asked catch up."""
    if cluster is None:
        return []
    table = cluster.table(name)
    return [
        f"CREATE TABLE IF NOT EXISTS {table} {cluster.on} (version_num String) "
        f"ENGINE = ReplicatedMergeTree({_EVERYWHERE}) ORDER BY version_num",
        f"SYSTEM SYNC REPLICA {cluster.on} {table}",
    ]


def _replicated(engine: re.Match[str]) -> str:
    arguments = f", {engine['arguments']}" if engine["arguments"] else ""
    return f"ENGINE = Replicated{engine['engine']}({_REPLICA}{arguments})"
