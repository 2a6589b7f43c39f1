"""Canned answers of the API, for the page's layout and for hostile data only; what the rooms really answer is tested
end to end. Values are invented, shapes are those of `dashboard.api` and of the rooms' status types."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from tests.dashboard import canned_watch
from tests.dashboard.canned_watch import Json, before

BASIS = "chat: 2 x A10G at $1.21/h rented; API list prices (genai-prices 0.2.3)"
MODELS = ["llama-3.1-8b-instruct", "gpt-5-mini", "house-ner-2"]
PIPELINES = ["support-rag", "nightly-digest", "invoice-extract"]


def quantities(calls: int, errors: int, tokens_in: int, tokens_out: int, usd: float | None, seconds: float) -> Json:
    return {
        "tps_per_usd_h": tokens_out / usd / 3600 if usd else None,
        "tokens_per_usd": tokens_out / usd if usd else None,
        "usd_per_mtok_blended": 1e6 * usd / (tokens_in + tokens_out) if usd and tokens_out else None,
        "usd_per_mtok_output": 1e6 * usd / tokens_out if usd and tokens_out else None,
        "usd_per_hour": usd * 3600 / seconds if usd is not None else None,
        "usd": None if usd is None else str(usd),
        "tps": {"output": tokens_out / seconds, "input": tokens_in / seconds},
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

    said = f"output tokens · seen by client · {BASIS} · last {seconds / 60:g} min · cost known for 95.9 % of tokens"
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
        "qualifier": said,
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
                "reason": "the spans name no provider; let a [[pools]] entry serve this model",
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


def full() -> Json:
    """A busy factory with one red lamp and one drift."""
    return {"summary": summary(), "throughput": throughput(), **canned_watch.watch()}


def empty() -> Json:
    """What a server that has just started answers."""
    window = {"start": before(300), "end": before(0), "seconds": 300}
    nothing = quantities(0, 0, 0, 0, None, 300)
    lists: Json = {"models": [], "pipelines": [], "pools": [], "unpriced": []}
    said = "output tokens · no calls seen · no cost known: add [[pools]] to andon.toml · last 5 min · coverage unknown"
    checks = [
        canned_watch.check("cdc", "Change data capture", "unknown", "no source is configured", [], "", 4),
        canned_watch.check("tco", "Cost against the API", "unknown", "nobody has looked yet", [], "", None),
    ]
    return {
        "summary": {"now": before(0), "window": window, **nothing, "coverage": None, "qualifier": said, **lists},
        "throughput": {"window": window, "step_seconds": 5, "by": None, "series": [{"labels": {}, "points": []}]},
        "checklist": {"worst": "unknown", "checks": checks},
        "drift": {"monitors": []},
        "alerts": {"instances": [], "events": [], "channels": []},
    }
