"""Canned answers of the API, for the page's layout and for hostile data only; what the rooms really answer is tested
end to end. Values are invented, shapes are those of `dashboard.api` and of the rooms' status types."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
BASIS = "chat: 2 x A10G at $1.21/h rented; API list prices (genai-prices 0.2.3)"
MODELS = ["llama-3.1-8b-instruct", "gpt-5-mini", "house-ner-2"]
PIPELINES = ["support-rag", "nightly-digest", "invoice-extract"]


def before(seconds: float) -> str:
    """The time some seconds ago, as the API writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def quantities(calls: int, errors: int, tokens_in: int, tokens_out: int, usd: float | None, seconds: float) -> Json:
    return {
        "tps_per_usd_h": tokens_out / usd / 3600 if usd else None,
        "tokens_per_usd": tokens_out / usd if usd else None,
        "usd_per_mtok_blended": 1e6 * usd / (tokens_in + tokens_out) if usd and tokens_out else None,
        "usd_per_mtok_output": 1e6 * usd / tokens_out if usd and tokens_out else None,
        "usd_per_hour": usd * 3600 / seconds if usd is not None else None,
        "usd": None if usd is None else str(usd),
        "tps": {"output": tokens_out / seconds, "input": tokens_in / seconds, "total": (tokens_in + tokens_out) / seconds},
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cached_share": 0.412 if tokens_in else None,
        "calls": calls,
        "errors": errors,
        "calls_without_usage": 0,
    }


def row(labels: dict[str, str], basis: str, facts: Json, streamed: bool = True) -> Json:
    first, late = (0.183, 0.412) if streamed else (None, None)
    latency = {
        "duration_p50_seconds": 0.9,
        "duration_p95_seconds": 2.41,
        "time_to_first_token_p50_seconds": first,
        "time_to_first_token_p95_seconds": late,
    }
    return {"labels": labels, "basis": [basis], "quantities": facts, "latency": latency}


def summary(seconds: float = 300) -> Json:
    tide = 1 + 0.04 * math.sin(datetime.now(UTC).timestamp() / 9)

    def of(calls: int, errors: int, tokens_in: int, tokens_out: int, usd: float | None) -> Json:
        return quantities(calls, errors, tokens_in, round(tokens_out * tide), usd, seconds)

    chat = of(902, 4, 1_204_000, 201_900, 0.181)
    return {
        "now": before(0),
        "window": {"start": before(seconds), "end": before(0), "seconds": seconds},
        **of(1284, 6, 1_912_400, 284_310, 0.2017),
        "token_kind": "output",
        "vantage": ["client"],
        "basis": ["api", "capacity"],
        "basis_text": BASIS,
        "coverage": 0.959,
        "qualifier": f"output tokens · seen by client · {BASIS} · last {seconds / 60:g} min · cost known for 95.9 % of tokens",
        "models": [
            row({"provider": "vllm", "model": MODELS[0]}, "capacity", chat),
            row({"provider": "openai", "model": MODELS[1]}, "api", of(310, 2, 640_000, 61_200, 0.0207), streamed=False),
            row({"provider": "", "model": MODELS[2]}, "unknown", of(72, 0, 68_400, 21_210, None)),
        ],
        "pipelines": [
            row({"pipeline": PIPELINES[0]}, "capacity", of(702, 4, 1_004_000, 151_900, 0.131)),
            row({"pipeline": PIPELINES[1]}, "capacity", of(410, 1, 700_000, 90_200, 0.05)),
            row({"pipeline": PIPELINES[2]}, "unknown", of(172, 1, 208_400, 42_210, None)),
        ],
        "pools": [
            _pool("chat", "A10G", 2, "rented", "2.42", chat, idle=False),
            _pool("spare", "L4", 1, "spot", "0.39", quantities(0, 0, 0, 0, 0.0325, seconds), idle=True),
        ],
        "unpriced": [
            {
                "provider": "",
                "model": MODELS[2],
                "service": "extract",
                "calls": 72,
                "tokens": 89_610,
                "reason": "the spans name no provider; set gen_ai.provider.name, or let a [[pools]] entry serve this model",
            }
        ],
    }


def _pool(name: str, accelerator: str, count: int, basis: str, usd_per_hour: str, facts: Json, idle: bool) -> Json:
    return {
        "name": name,
        "accelerator": accelerator,
        "count": count,
        "basis": basis,
        "usd_per_hour": usd_per_hour,
        "usd": "0.2",
        "idle": idle,
        "quantities": facts,
    }


def throughput(seconds: float = 300, step: float = 5, by: str | None = None) -> Json:
    names = {"model": MODELS, "pipeline": PIPELINES}.get(by or "", [""])
    return {
        "window": {"start": before(seconds), "end": before(0), "seconds": seconds},
        "step_seconds": step,
        "by": by,
        "token_kind": "output",
        "basis_text": BASIS,
        "series": [
            {"labels": {by: name} if by else {}, "points": _points(seconds, step, place, len(names))}
            for place, name in enumerate(names)
        ],
    }


def _points(seconds: float, step: float, place: int, of: int) -> list[Json]:
    end = datetime.now(UTC).timestamp()
    first = (end - seconds) // step * step
    return [_point(first + number * step, step, end, place, of) for number in range(math.ceil((end - first) / step))]


def _point(at: float, step: float, end: float, place: int, of: int) -> Json:
    wave = math.sin(at / 37 + place) + 0.5 * math.sin(at / 11 + 2 * place) + 0.25 * math.sin(at / 5.3)
    tps = (900 + 160 * wave) / of / (1 + 0.7 * place)
    known = not 0.6 < (end - at) / (60 * step) < 0.68
    cost = None if place == 2 else 2.42 / of
    return {
        "time": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
        "complete": at + step <= end,
        "tps_output": tps if known else None,
        "tps_input": 6 * tps if known else None,
        "tps_per_usd_h": tps / cost if cost and known else None,
        "usd_per_hour": cost if known else None,
        "calls": 4 if known else None,
        "errors": 0 if known else None,
    }


def evidence(label: str, value: str | None, status: str | None = None, unit: str = "", **more: str) -> Json:
    return {"label": label, "value": value, "status": status, "unit": unit, "rule": "", "basis": "", "query": "", "remedy": ""} | more


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
    slot = [
        evidence("orders", "reachable, PostgreSQL 18.4", "ok"),
        evidence("debezium: consumer", "inactive for 412", "fail", "s", basis="pg_replication_slots",
                 query="SELECT * FROM pg_replication_slots", remedy="Restart it: `kubectl rollout restart deploy/debezium`"),
        evidence("debezium: lag", "812.4", "warn", "MiB", basis="confirmed_flush_lsn"),
        evidence("debezium: WAL left", None, "unknown", "bytes", basis="max_slot_wal_keep_size is -1"),
    ]  # fmt: skip
    inputs = [
        evidence("egress price", None, "unknown", "USD/GB", basis="setting checklist.tco.egress_usd_per_gb"),
        evidence("output tokens", "284 310", None, "tok", basis="measured"),
    ]
    reports = [evidence("support-rag", "last span 2 s ago", "ok"), evidence("nightly-digest", "last span 9 s ago", "ok")]
    restart = "Restart the connector: `kubectl rollout restart deploy/debezium`, then run `andon checklist`."
    checks = [
        check("cdc", "Change data capture", "fail", "debezium of orders: no consumer for 412 s (and 1 more)", slot, restart, 412),
        check("tco", "Cost against the API", "unknown", "cannot be judged; missing: egress price, baseline model", inputs,
              "Set checklist.tco.egress_usd_per_gb in andon.toml.", 5 * 3600),
        check("observability", "Observability", "ok", "3 pipelines report; every monitor decides in time", reports, "", 26 * 3600),
    ]  # fmt: skip
    return {"worst": "fail", "exit_code": 2, "checks": checks}


def drift() -> Json:
    found = "output_tokens: values are higher since 04:12:30 UTC; median 289 against 210 in the baseline"
    perhaps = "time_to_first_token_seconds: perhaps more very high values; median 0.19 against 0.17 in the baseline"
    calm = "feature.similarity: nothing beyond the tolerance; median 0.71 against 0.71 in the baseline"
    learning = monitor("new pipeline", "output_tokens", "learning", "learning (12 of 20 windows, 3 100 of 5 000 rows)", None, 0)
    return {
        "monitors": [
            monitor("answer length", "output_tokens", "drifting", found, 4.1e6, 0.84),
            monitor("first token", "time_to_first_token_seconds", "suspect", perhaps, 412.0, 0.21),
            monitor("prompt similarity", "feature.similarity", "quiet", calm, 1.4, -0.02),
            learning | {"progress": {"windows": 12, "windows_needed": 20, "rows": 3100, "rows_needed": 5000}},
        ]
    }


def monitor(name: str, signal: str, state: str, detail: str, found: float | None, moved: float) -> Json:
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
        "effects": None if found is None else {"ks": 0.31, "w1_iqr": abs(moved), "shift": moved / 2, "baseline_median": 210},
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
    told = {"channel": "on-call", "message_id": "m1", "status": "done", "attempts": 1, "explanation": "sent at attempt 1"}
    again = told | {"status": "pending", "attempts": 2, "explanation": "attempt 2 failed, another follows: 503"}
    cdc, answers = {"check": "cdc"}, {"monitor": "answer length", "pipeline": "support-rag"}
    firing = {
        "rule": "check failed",
        "severity": "critical",
        "labels": cdc,
        "expression": "checklist.state{} == fail",
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
            event(4, 40, "drift", "warning", answers, "firing", "answer length drifts: values are higher", [again]),
            event(3, 352, "check failed", "critical", cdc, "firing", "Change data capture is FAIL: no consumer of debezium", [told]),
            event(2, 10_800, "check failed", "error", {"check": "observability"}, "resolved", "Observability is OK again", [told]),
        ],
        "channels": [{"name": "on-call"}],
    }


def event(number: int, ago: float, rule: str, severity: str, labels: Json, transition: str, text: str, told: list[Json]) -> Json:
    return {
        "id": number,
        "at": before(ago),
        "rule": rule,
        "severity": severity,
        "labels": labels,
        "transition": transition,
        "value": None,
        "summary": text,
        "fingerprint": f"f{number}",
        "episode": 1,
        "told": told,
        "untold": None if told else "there was no channel to tell",
    }


def full() -> Json:
    """A busy factory with one red lamp and one drift."""
    return {"summary": summary(), "throughput": throughput(), "checklist": checklist(), "drift": drift(), "alerts": alerts()}


def empty() -> Json:
    """What a server that has just started answers."""
    window = {"start": before(300), "end": before(0), "seconds": 300}
    nothing = quantities(0, 0, 0, 0, None, 300)
    lists: Json = {"models": [], "pipelines": [], "pools": [], "unpriced": []}
    said = "output tokens · no calls seen · no cost known: add [[pools]] to andon.toml · last 5 min · coverage unknown"
    checks = [
        check("cdc", "Change data capture", "unknown", "no source is configured", [], "", 4),
        check("tco", "Cost against the API", "unknown", "nobody has looked yet", [], "", None),
    ]
    return {
        "summary": {"now": before(0), "window": window, **nothing, "coverage": None, "qualifier": said, **lists},
        "throughput": {"window": window, "step_seconds": 5, "by": None, "series": [{"labels": {}, "points": []}]},
        "checklist": {"worst": "unknown", "checks": checks},
        "drift": {"monitors": []},
        "alerts": {"instances": [], "events": [], "channels": []},
    }
