"""What the page, the API, the checklist and the alerts read: quantities over a window, with what they rest on.

Every answer carries its window, its cost basis, its vantage and its coverage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from economics import prices, quantities
from economics.answers import Point, PoolLine, Quantities, Rates, Row, Series, Summary, Unpriced, Window
from economics.costing import Basis, Costed, Costs, grouped, total
from economics.grains import MINUTES, SLICES
from economics.horizon import first_known, in_whole_minutes
from economics.latency import Latency, read_latency
from economics.ledger import read_folded, read_folded_grain
from economics.pools import capacity_usd, usd_per_hour
from economics.quantities import Facts
from economics.times import sql_time
from settings import Pool
from store.telemetry import TelemetryStore

# Spans reach the store some seconds after they end; a live window ends this long ago.
SETTLE = timedelta(seconds=5)


BY = {
    "model": ("provider", "model"),
    "pipeline": ("pipeline",),
    "stage": ("pipeline", "stage"),
    "provider": ("provider",),
    "service": ("service",),
    "project": ("project",),
}


# Stretches of time with a published minute, or with spans of one that is not.
_KNOWN = """
SELECT toDateTime(intDiv(toUnixTimestamp(minute), {grain}) * {grain}, 'UTC') AS at FROM (
    SELECT minute FROM folded_minutes
    WHERE minute >= toDateTime64(:first, 6, 'UTC') AND minute < toDateTime64(:end, 6, 'UTC')
    UNION ALL
    SELECT toStartOfMinute(end_time) AS minute FROM spans
    WHERE end_time >= toDateTime64(:loose, 9, 'UTC') AND end_time < toDateTime64(:end, 9, 'UTC')
) GROUP BY at
"""

# What the tables of a summary are made of.
_LABELS = ("project", "provider", "model", "service", "pipeline", "vantage")
_TABLES = (BY["model"], BY["pipeline"])


class Reports:
    """Reads the ledger and answers with quantities."""

    def __init__(self, store: TelemetryStore, pools: Sequence[Pool]) -> None:
        self._store = store
        self._pools = tuple(pools)
        self._costs = Costs(store, pools)

    def live_window(self, now: datetime, seconds: float) -> Window:
        """The last `seconds` before `now`, less what is still on its way; not longer than there has been data.

        It is made of whole slices, so that none has to be cut.
        """
        end = SLICES.floor(now - SETTLE)
        start = SLICES.floor(end - timedelta(seconds=seconds))
        first = self.first_seen()
        return Window(min(max(start, first), end) if first else end, end)

    def first_seen(self) -> datetime | None:
        """When the oldest span ended that is known of, to the minute where only its roll-up is kept."""
        return first_known(self._store)

    def summary(self, window: Window, project: str | None = None) -> Summary:
        """Headline, tables and pools of a window; it is cut to whole minutes where only those are kept.

        Args:
            project: only its traffic, with its share of what the pools cost; the table of the pools stays that of all.
        """
        state = read_folded(self._store)
        window = in_whole_minutes(window, state[1])
        everything, source = self._costs.read(window.start, window.end, _LABELS, state=state)
        rows = _of_project(everything, project)
        latency = read_latency(self._store, source, _TABLES, project)
        models, pipelines = (_table(rows, window, _LABELS, names, latency[names]) for names in _TABLES)
        bases = tuple(sorted({row.basis.value for row in rows if row.facts.calls or row.facts.usd}))
        return Summary(
            window=window,
            quantities=quantify(total(rows), window.seconds),
            basis=bases,
            basis_text=self.basis_text(any(row.basis is Basis.API and row.facts.usd_api for row in rows)),
            vantage=tuple(sorted({_label(row, "vantage") for row in rows if row.facts.calls})),
            token_kind="output",  # noqa: S106
            models=models,
            pipelines=pipelines,
            pools=tuple(self._pool_line(pool, everything, window) for pool in self._pools),
            unpriced=_unpriced(rows),
        )

    def unpriced(self, window: Window) -> tuple[Unpriced, ...]:
        """Traffic of a window whose cost is unknown."""
        return _unpriced(self._costed(window))

    def pool_facts(self, window: Window) -> Facts:
        """What the capacity pools made and cost, over a window."""
        return total(row for row in self._costed(window) if row.basis is Basis.CAPACITY)

    def baseline_usd(self, window: Window, provider: str, model: str) -> Decimal | None:
        """What the tokens of the capacity pools would have cost at an API's list price; None when it has none."""
        usd = Decimal(0)
        rows, _ = self._costs.read(window.start, window.end, ("input_band",))
        for row in rows:
            if row.basis is Basis.CAPACITY and row.labels is not None:
                card = prices.rate_card(provider, model, int(row.labels[0]), window.end)
                if card is None:
                    return None
                usd += card.usd(row.facts)
        return usd

    def throughput(
        self, window: Window, step: timedelta, by: str | None = None, project: str | None = None
    ) -> tuple[Series, ...]:
        """Tokens per second and per dollar, bucket by bucket; one series, or one per value of `by` (a key of `BY`).

        The window is widened to whole buckets at its start. Buckets in which Andon was not running, or had no data,
        are gaps: their values are None. So are parts of minutes of which only whole ones are kept.
        """
        buckets = _buckets(window, step)
        names = BY[by] if by else ()
        labels = names if project is None else (*names, "project")
        rows, source = self._costs.read(buckets[0].start, window.end, labels, step)
        known = self._watched(buckets, source.known_before)
        groups: dict[tuple[str, ...], dict[datetime | None, list[Facts]]] = {} if by else {(): {}}
        for row in rows:
            if project is not None and (row.labels is None or row.labels[-1] != project):
                continue
            key = () if not names else None if row.labels is None else row.labels[: len(names)]
            if key is not None:
                groups.setdefault(key, {}).setdefault(row.bucket, []).append(row.facts)
        summed = {key: {at: Facts.total(facts) for at, facts in of.items()} for key, of in groups.items()}
        return tuple(
            Series(
                dict(zip(names, key, strict=True)),
                tuple(
                    _point(bucket, of.get(bucket.start, Facts()), bucket.start in known, bucket.length == step)
                    for bucket in buckets
                ),
            )
            for key, of in sorted(summed.items())
            if not by or any(facts.calls for facts in of.values())
        )

    def _costed(self, window: Window) -> list[Costed]:
        return self._costs.read(window.start, window.end, _LABELS)[0]

    def _pool_line(self, pool: Pool, rows: list[Costed], window: Window) -> PoolLine:
        facts = total(row for row in rows if row.pool == pool.name)
        return PoolLine(
            name=pool.name,
            accelerator=pool.accelerator,
            count=pool.count,
            basis=pool.basis,
            usd_per_hour=usd_per_hour(pool),
            usd=capacity_usd(pool, window.length),
            idle=facts.calls == 0,
            quantities=quantify(facts, window.seconds),
        )

    def basis_text(self, with_list_prices: bool = True) -> str:
        """The prices that costs rest on, in words."""
        parts = [
            f"{pool.name}: {pool.count} x {pool.accelerator} at ${pool.usd_per_hour}/h {pool.basis}"
            for pool in self._pools
        ]
        if with_list_prices:
            parts.append(f"API list prices ({prices.VERSION})")
        return "; ".join(parts)

    def known_minutes(self, window: Window) -> set[int]:
        """Minutes since the epoch about which something is known: published, or with spans that are not yet folded."""
        return {at // MINUTES.seconds for at in self._known(window, MINUTES.seconds)}

    def _watched(self, buckets: Sequence[Window], horizon: datetime) -> set[datetime]:
        """Buckets of which a minute is known. Before the horizon there are whole minutes and nothing else."""
        seconds = int(buckets[0].length.total_seconds())
        # Of long buckets many minutes would come back.
        grain = seconds if len(buckets) > 1 and seconds % MINUTES.seconds == 0 else MINUTES.seconds
        known = self._known(Window(buckets[0].start, buckets[-1].end), grain)
        return {
            bucket.start
            for bucket in buckets
            if not known.isdisjoint(_starts(bucket, grain))
            and (bucket.start >= horizon or bucket == in_whole_minutes(bucket, horizon))
        }

    def _known(self, window: Window, grain: int) -> set[int]:
        """Stretches of `grain` seconds in which a minute is known, by their starts in seconds since the epoch."""
        first = MINUTES.floor(window.start)
        rows = self._store.rows(
            _KNOWN.format(grain=grain),
            first=sql_time(first),
            end=sql_time(window.end),
            # What is older and not in the marks is too late, or will be folded in a moment.
            loose=sql_time(max(first, read_folded_grain(self._store, MINUTES).before)),
        )
        return {int(row["at"].timestamp()) for row in rows}


def quantify(facts: Facts, seconds: float, known_cost: bool = True) -> Quantities:
    """Every quantity of `facts` over `seconds` of wall time; `known_cost=False` leaves the money unknown."""
    known_cost = known_cost and (facts.usd > 0 or facts.costed_input_tokens + facts.costed_output_tokens > 0)
    priced = facts if known_cost else Facts()
    return Quantities(
        tps_per_usd_h=quantities.tps_per_usd_h(priced, seconds),
        tokens_per_usd=quantities.tokens_per_usd(priced),
        usd_per_mtok_blended=quantities.usd_per_mtok_blended(priced),
        usd_per_mtok_output=quantities.usd_per_mtok_output(priced),
        usd_per_hour=quantities.usd_per_hour(priced, seconds) if known_cost else None,
        usd=priced.usd if known_cost else None,
        tps=Rates(
            quantities.tps(facts.output_tokens, seconds),
            quantities.tps(facts.input_tokens, seconds),
            quantities.tps(quantities.tokens_total(facts), seconds),
        ),
        tokens_total=quantities.tokens_total(facts),
        tokens_computed=quantities.tokens_computed(facts),
        input_tokens=facts.input_tokens,
        output_tokens=facts.output_tokens,
        cache_read_tokens=facts.cache_read_tokens,
        cache_write_tokens=facts.cache_write_tokens,
        reasoning_tokens=facts.reasoning_tokens,
        cached_share=quantities.cached_share(facts),
        calls=facts.calls,
        errors=facts.errors,
        calls_without_usage=facts.calls_without_usage,
        runs=facts.runs,
        run_errors=facts.run_errors,
        cost_coverage=quantities.cost_coverage(facts),
    )


def _table(
    rows: Sequence[Costed],
    window: Window,
    labels: tuple[str, ...],
    names: tuple[str, ...],
    latency: Mapping[tuple[str, ...], Latency],
) -> tuple[Row, ...]:
    """One row per value of `names`, which are some of the `labels` by which the rows were read."""
    places = tuple(labels.index(name) for name in names)
    bases: dict[tuple[str, ...], set[str]] = {}

    def key(row: Costed) -> tuple[str, ...] | None:
        return None if row.labels is None else tuple(row.labels[place] for place in places)

    for row in rows:
        of = key(row)
        if of is not None and row.facts.calls:
            bases.setdefault(of, set()).add(row.basis.value)
    empty = Latency(None, None, None, None)
    lines = [
        Row(
            dict(zip(names, of, strict=True)),
            tuple(sorted(bases.get(of, ()))),
            quantify(facts, window.seconds, known_cost=Basis.UNKNOWN.value not in bases.get(of, ())),
            latency.get(of, empty),
        )
        for of, facts in grouped(rows, key).items()
        if facts.calls or (facts.runs and "pipeline" in names)
    ]
    return tuple(sorted(lines, key=lambda line: -line.quantities.output_tokens))


def _of_project(rows: list[Costed], project: str | None) -> list[Costed]:
    """The rows of one project, costed among those of all: what a pool costs while it is idle is nobody's."""
    if project is None:
        return rows
    return [row for row in rows if row.labels is not None and _label(row, "project") == project]


def _label(row: Costed, name: str) -> str:
    return "" if row.labels is None else row.labels[_LABELS.index(name)]


def _unpriced(rows: list[Costed]) -> tuple[Unpriced, ...]:
    lines = [
        Unpriced(
            provider=_label(row, "provider"),
            model=_label(row, "model"),
            service=_label(row, "service"),
            calls=row.facts.calls,
            tokens=quantities.tokens_total(row.facts),
            reason=_why_unpriced(_label(row, "provider"), _label(row, "model")),
        )
        for row in rows
        if row.basis is Basis.UNKNOWN
    ]
    merged: dict[tuple[str, str, str, str], Unpriced] = {}
    for line in lines:
        key = (line.provider, line.model, line.service, line.reason)
        before = merged.get(key)
        calls, tokens = (before.calls, before.tokens) if before else (0, 0)
        merged[key] = Unpriced(*key[:3], calls + line.calls, tokens + line.tokens, line.reason)
    return tuple(sorted(merged.values(), key=lambda line: -line.tokens))


def _why_unpriced(provider: str, model: str) -> str:
    if not model and not provider:
        return "the spans name no model and no provider; let a [[pools]] entry serve this service"
    if not provider:
        return "the spans name no provider; set gen_ai.provider.name, or let a [[pools]] entry serve this model"
    return f"{prices.VERSION} knows no price of it; let a [[pools]] entry serve it if it runs on your own machines"


def _buckets(window: Window, step: timedelta) -> list[Window]:
    """Whole buckets aligned to the epoch; the last ends with the window."""
    seconds = int(step.total_seconds())
    first = int(window.start.timestamp()) // seconds * seconds
    starts = [datetime.fromtimestamp(at, UTC) for at in range(first, int(window.end.timestamp()) + 1, seconds)]
    return [Window(start, min(start + step, window.end)) for start in starts if start < window.end]


def _starts(bucket: Window, grain: int) -> range:
    """Starts of the stretches of `grain` seconds that the bucket touches, in seconds since the epoch."""
    return range(int(bucket.start.timestamp()) // grain * grain, math.ceil(bucket.end.timestamp()), grain)


def _point(bucket: Window, facts: Facts, known: bool, complete: bool) -> Point:
    if not known:
        return Point(bucket.start, complete, None, None, None, None, None, None)
    return Point(
        time=bucket.start,
        complete=complete,
        tps_output=quantities.tps(facts.output_tokens, bucket.seconds),
        tps_input=quantities.tps(facts.input_tokens, bucket.seconds),
        tps_per_usd_h=quantities.tps_per_usd_h(facts, bucket.seconds),
        usd_per_hour=quantify(facts, bucket.seconds).usd_per_hour,
        calls=facts.calls,
        errors=facts.errors,
    )
