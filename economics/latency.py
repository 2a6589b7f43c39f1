"""How long calls took: quantiles of the ledger's calls, from the digests that stand beside their sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from economics.ledger import Source
from store.telemetry import TelemetryStore


@dataclass(frozen=True)
class Latency:
    """Quantiles of one group, in seconds; None when nothing was measured."""

    duration_p50_seconds: float | None
    duration_p95_seconds: float | None
    time_to_first_token_p50_seconds: float | None
    time_to_first_token_p95_seconds: float | None


def read_latency(
    store: TelemetryStore, source: Source, by: Sequence[tuple[str, ...]], project: str | None = None
) -> dict[tuple[str, ...], dict[tuple[str, ...], Latency]]:
    """Latency quantiles of the calls of a source, for each set of key columns in `by`, per value of them.

    Args:
        project: only its calls; None for those of all.
    """
    names = sorted({name for each in by for name in each})
    params = dict(source.params)
    where = ""
    if project is not None:
        where, params["project"] = "WHERE project = :project", project
    sets = ", ".join(f"({', '.join(each)})" for each in by)
    rows = store.rows(
        f"SELECT {''.join(f'{name}, ' for name in names)} grouping({', '.join(names) or '1'}) AS absent, "
        "quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_seconds) AS duration, "
        "quantilesTDigestMerge(0.5, 0.95, 0.99)(time_to_first_token_seconds) AS first_token "
        f"FROM ({source.statement}) {where} GROUP BY GROUPING SETS ({sets})",
        **params,
    )
    absent = {sum(1 << i for i, name in enumerate(reversed(names)) if name not in each): each for each in by}
    found: dict[tuple[str, ...], dict[tuple[str, ...], Latency]] = {each: {} for each in by}
    for row in rows:
        each = absent[row["absent"]]
        found[each][tuple(row[name] for name in each)] = Latency(
            _finite(row["duration"][0]),
            _finite(row["duration"][1]),
            _finite(row["first_token"][0]),
            _finite(row["first_token"][1]),
        )
    return found


def _finite(value: float) -> float | None:
    return None if value != value else float(value)
