"""Canned answers about what is watched: checklist, drift monitors, alerts. Invented values, see `canned`."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]


def before(seconds: float) -> str:
    """The time some seconds ago, as the API writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def watch() -> Json:
    """One red lamp, one drift, one firing alert."""
    return {"checklist": checklist(), "drift": drift(), "alerts": alerts()}


def evidence(label: str, value: str | None, status: str | None = None, unit: str = "", **more: str) -> Json:
    nothing = {"rule": "", "basis": "", "query": "", "remedy": ""}
    return {"label": label, "value": value, "status": status, "unit": unit, **nothing, **more}


def check(name: str, title: str, status: str, summary: str, rows: list[Json], remedy: str, since: float | None) -> Json:
    looked = since is not None
    return {
        "name": name,
        "title": title,
        "status": status,
        "summary": summary,
        "evidence": rows,
        "remedy": remedy,
        "observed_at": before(4) if looked else None,
        "since": before(since) if since is not None else None,
        "age_seconds": 4.0 if looked else None,
        "stale": False,
    }


def checklist() -> Json:
    restart = "Restart the connector: `kubectl rollout restart deploy/debezium`, then run `andon checklist`."
    price = "Set checklist.tco.egress_usd_per_gb in andon.toml."
    slot = [
        evidence("orders", "reachable, PostgreSQL 18.4", "ok"),
        evidence(
            "consumer", "inactive for 412", "fail", "s", query="SELECT * FROM pg_replication_slots", remedy=restart
        ),
        evidence("lag", "812.4", "warn", "MiB", basis="confirmed_flush_lsn"),
        evidence("WAL left", None, "unknown", "bytes", basis="max_slot_wal_keep_size is -1"),
    ]
    inputs = [
        evidence("egress price", None, "unknown", "USD/GB", basis="setting checklist.tco.egress_usd_per_gb"),
        evidence("output tokens", "284 310", None, "tok", basis="measured"),
    ]
    reports = [evidence(name, "last span 2 s ago", "ok") for name in ("support-rag", "nightly-digest")]
    silent = "debezium of orders: no consumer for 412 s (and 1 more)"
    missing = "cannot be judged; missing: egress price, baseline model"
    checks = [
        check("cdc", "Change data capture", "fail", silent, slot, restart, 412),
        check("tco", "Cost against the API", "unknown", missing, inputs, price, 5 * 3600),
        check("observability", "Observability", "ok", "3 pipelines report, nothing is blind", reports, "", 26 * 3600),
    ]
    return {"worst": "fail", "exit_code": 2, "checks": checks}


def drift() -> Json:
    found = "output_tokens: values are higher since 04:12:30 UTC; median 289 against 210 in the baseline"
    perhaps = "time_to_first_token_seconds: perhaps more very high values; median 0.19 against 0.17 in the baseline"
    calm = "feature.similarity: nothing beyond the tolerance; median 0.71 against 0.71 in the baseline"
    progress = {"windows": 12, "windows_needed": 20, "rows": 3100, "rows_needed": 5000}
    young = monitor("new pipeline", "output_tokens", "learning", "learning (12 of 20 windows)", None, 0)
    return {
        "monitors": [
            monitor("answer length", "output_tokens", "drifting", found, 4.1e6, 0.84),
            monitor("first token", "time_to_first_token_seconds", "suspect", perhaps, 412.0, 0.21),
            monitor("prompt similarity", "feature.similarity", "quiet", calm, 1.4, -0.02),
            young | {"progress": progress},
        ]
    }


def monitor(name: str, signal: str, state: str, detail: str, found: float | None, moved: float) -> Json:
    sizes = {"ks": 0.31, "w1_iqr": abs(moved), "shift": moved / 2, "baseline_median": 210}
    changed = state in {"drifting", "suspect"}
    recent = [] if found is None else [_window(number, state, moved) for number in range(40)]
    return {
        "name": name,
        "signal": signal,
        "pipeline": "support-rag",
        "stage": None,
        "model": None,
        "window_seconds": 30,
        "state": state,
        "since": before(360),
        "evidence": found,
        "threshold": 10_000,
        "log10_ratio": None if found is None else math.log10(found / 10_000),
        "effects": None if found is None else sizes,
        "kind": "location" if changed else None,
        "sign": 1 if changed else None,
        "change_time": before(420) if changed else None,
        "progress": None,
        "problem": None,
        "detail": detail,
        "recent": recent,
    }


def _window(number: int, state: str, moved: float) -> Json:
    late = max(0, number - 28)
    median = 210 + 8 * math.sin(number * 1.7) + 90 * moved * late / 12
    return {"start": before(30 * (40 - number)), "rows": 240, "state": state if late else "quiet", "median": median}


def alerts() -> Json:
    told = {"channel": "on-call", "message_id": "m1", "status": "done", "explanation": "sent at attempt 1"}
    again = told | {"status": "pending", "explanation": "attempt 2 failed, another follows: 503"}
    cdc, board = {"check": "cdc"}, {"check": "observability"}
    answers = {"monitor": "answer length", "pipeline": "support-rag"}
    firing = {
        "rule": "check failed",
        "severity": "critical",
        "labels": cdc,
        "expression": "checklist.state == FAIL",
        "state": "firing",
        "value": "fail",
        "no_data": False,
        "pending_since": None,
        "firing_since": before(352),
        "resolved_at": None,
        "fingerprint": "f1",
        "episode": 1,
    }
    return {
        "instances": [firing],
        "events": [
            event(4, 40, "drift", answers, "firing", "answer length drifts: values are higher", again),
            event(3, 352, "check failed", cdc, "firing", "Change data capture is FAIL: no consumer of debezium", told),
            event(2, 10_800, "check failed", board, "resolved", "Observability is OK again", told),
        ],
        "channels": [{"name": "on-call"}],
    }


def event(number: int, ago: float, rule: str, labels: Json, transition: str, text: str, told: Json) -> Json:
    return {
        "id": number,
        "at": before(ago),
        "rule": rule,
        "severity": "critical",
        "labels": labels,
        "transition": transition,
        "value": None,
        "summary": text,
        "fingerprint": f"f{number}",
        "episode": 1,
        "told": [told],
        "untold": None,
    }
