"""What the page, the API, the checklist and the alerts read: quantities over a window, with what they rest on.

Every answer carries its window, its cost basis, its vantage and its coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from economics import prices, quantities
from economics.answers import Point, PoolLine, Quantities, Rates, Row, Series, Summary, Unpriced, Window
from economics.costing import Basis, Costed, cost, grouped, total
from economics.horizon import first_known, in_whole_minutes
from economics.ledger import Latency, Usage, read_latency, read_state, read_usage, sql_time
from economics.pools import capacity_usd, usd_per_hour
from economics.quantities import Facts
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


class Reports:
    """Reads the ledger and answers with quantities."""

    def __init__(self, store: TelemetryStore, pools: Sequence[Pool]) -> None:
        self._store = store
        self._pools = tuple(pools)
        self._bands = prices.input_bands()

    def live_window(self, now: datetime, seconds: float) -> Window:
        """The last `seconds` before `now`, less what is still on its way; not longer than there has been data."""
        end = now - SETTLE
        start = end - timedelta(seconds=seconds)
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
        window = in_whole_minutes(window, read_state(self._store)[1])
        everything = self._costed(window)
        rows = _of_project(everything, project)
        facts = total(rows)
        bases = tuple(sorted({row.basis.value for row in rows if row.facts.calls or row.facts.usd}))
        return Summary(
            window=window,
            quantities=quantify(facts, window.seconds),
            basis=bases,
            basis_text=self.basis_text(any(row.basis is Basis.API and row.facts.usd_api for row in rows)),
            vantage=tuple(sorted({row.usage.vantage for row in rows if row.usage and row.facts.calls})),
            token_kind="output",  # noqa: S106
            models=self._table(rows, window, "model", project),
            pipelines=self._table(rows, window, "pipeline", project),
            pools=tuple(self._pool_line(pool, everything, window) for pool in self._pools),
            unpriced=_unpriced(rows),
        )

    def unpriced(self, window: Window) -> tuple[Unpriced, ...]:
        """Traffic of a window whose cost is unknown."""
        return _unpriced(self._costed(window))

    def facts(self, window: Window) -> Facts:
        """Everything that adds up, over a window."""
        return total(self._costed(window))

    def pool_facts(self, window: Window) -> Facts:
        """What the capacity pools made and cost, over a window."""
        return total(row for row in self._costed(window) if row.basis is Basis.CAPACITY)

    def baseline_usd(self, window: Window, provider: str, model: str) -> Decimal | None:
        """What the tokens of the capacity pools would have cost at an API's list price; None when it has none."""
        usd = Decimal(0)
        for row in self._costed(window):
            if row.basis is Basis.CAPACITY and row.usage is not None:
                card = prices.rate_card(provider, model, row.usage.input_band, window.end)
                if card is None:
                    return None
                usd += card.usd(row.usage)
        return usd

    def table(self, window: Window, by: str) -> tuple[Row, ...]:
        """One row per value of `by` (a key of `BY`)."""
        return self._table(self._costed(window), window, by)

    def throughput(
        self, window: Window, step: timedelta, by: str | None = None, project: str | None = None
    ) -> tuple[Series, ...]:
        """Tokens per second and per dollar, bucket by bucket; one series, or one per value of `by` (a key of `BY`).

        The window is widened to whole buckets at its start. Buckets in which Andon was not running, or had no data,
        are gaps: their values are None. So are parts of minutes of which only whole ones are kept.
        """
        buckets = _buckets(window, step)
        by_bucket: dict[datetime, list[Usage]] = {bucket.start: [] for bucket in buckets}
        for usage in read_usage(self._store, buckets[0].start, window.end, self._bands, int(step.total_seconds())):
            if usage.bucket in by_bucket:
                by_bucket[usage.bucket].append(usage)
        known = self._watched(buckets, read_state(self._store)[1])
        groups: dict[tuple[str, ...], dict[datetime, Facts]] = {} if by else {(): {}}
        names = BY[by] if by else ()
        for bucket in buckets:
            costed = cost(by_bucket[bucket.start], self._pools, bucket.length, bucket.start)
            rows = _of_project(costed, project)
            for key, facts in grouped(rows, lambda row: _key(row, names)).items():
                groups.setdefault(key, {})[bucket.start] = facts
        return tuple(
            Series(
                dict(zip(names, key, strict=True)),
                tuple(
                    _point(bucket, of.get(bucket.start, Facts()), bucket.start in known, bucket.length == step)
                    for bucket in buckets
                ),
            )
            for key, of in sorted(groups.items())
            if not by or any(facts.calls for facts in of.values())
        )

    def _costed(self, window: Window) -> list[Costed]:
        usages = read_usage(self._store, window.start, window.end, self._bands)
        return cost(usages, self._pools, window.length, window.end)

    def _table(self, rows: list[Costed], window: Window, by: str, project: str | None = None) -> tuple[Row, ...]:
        names = BY[by]
        latency = read_latency(self._store, window.start, window.end, self._bands, names, project)
        bases: dict[tuple[str, ...], set[str]] = {}
        for row in rows:
            key = _key(row, names)
            if key is not None and row.facts.calls:
                bases.setdefault(key, set()).add(row.basis.value)
        empty = Latency(None, None, None, None)
        lines = [
            Row(
                dict(zip(names, key, strict=True)),
                tuple(sorted(bases.get(key, ()))),
                quantify(facts, window.seconds, known_cost=Basis.UNKNOWN.value not in bases.get(key, ())),
                latency.get(key, empty),
            )
            for key, facts in grouped(rows, lambda row: _key(row, names)).items()
            if facts.calls or (facts.runs and "pipeline" in names)
        ]
        return tuple(sorted(lines, key=lambda line: -line.quantities.output_tokens))

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

    def _watched(self, buckets: Sequence[Window], horizon: datetime) -> set[datetime]:
        """Buckets of which a minute is known. Before the horizon there are whole minutes and nothing else."""
        minutes = self.known_minutes(Window(buckets[0].start, buckets[-1].end))
        return {
            bucket.start
            for bucket in buckets
            if not minutes.isdisjoint(range(*_minute_numbers(bucket)))
            and (bucket.start >= horizon or bucket == in_whole_minutes(bucket, horizon))
        }

    def known_minutes(self, window: Window) -> set[int]:
        """Minutes since the epoch about which something is known: published, or with spans that are not yet folded."""
        rows = self._store.rows(
            "SELECT DISTINCT minute FROM folded_minutes WHERE minute >= toDateTime64(:start, 6, 'UTC') - 60 "
            "AND minute < toDateTime64(:end, 6, 'UTC') "
            "UNION DISTINCT SELECT DISTINCT toStartOfMinute(end_time) AS minute FROM spans "
            "WHERE end_time >= toDateTime64(:start, 9, 'UTC') - 60 AND end_time < toDateTime64(:end, 9, 'UTC')",
            start=sql_time(window.start),
            end=sql_time(window.end),
        )
        return {int(row["minute"].timestamp()) // 60 for row in rows}


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


def _of_project(rows: list[Costed], project: str | None) -> list[Costed]:
    """The rows of one project, costed among those of all: what a pool costs while it is idle is nobody's."""
    if project is None:
        return rows
    return [row for row in rows if row.usage is not None and row.usage.project == project]


def _key(row: Costed, names: tuple[str, ...]) -> tuple[str, ...] | None:
    if row.usage is None:
        return () if not names else None
    return tuple(str(getattr(row.usage, name)) for name in names)


def _unpriced(rows: list[Costed]) -> tuple[Unpriced, ...]:
    lines = [
        Unpriced(
            provider=row.usage.provider,
            model=row.usage.model,
            service=row.usage.service,
            calls=row.facts.calls,
            tokens=quantities.tokens_total(row.facts),
            reason=_why_unpriced(row.usage),
        )
        for row in rows
        if row.basis is Basis.UNKNOWN and row.usage is not None
    ]
    merged: dict[tuple[str, str, str, str], Unpriced] = {}
    for line in lines:
        key = (line.provider, line.model, line.service, line.reason)
        before = merged.get(key)
        calls, tokens = (before.calls, before.tokens) if before else (0, 0)
        merged[key] = Unpriced(*key[:3], calls + line.calls, tokens + line.tokens, line.reason)
    return tuple(sorted(merged.values(), key=lambda line: -line.tokens))


def _why_unpriced(usage: Usage) -> str:
    if not usage.model and not usage.provider:
        return "the spans name no model and no provider; let a [[pools]] entry serve this service"
    if not usage.provider:
        return "the spans name no provider; set gen_ai.provider.name, or let a [[pools]] entry serve this model"
    return f"{prices.VERSION} knows no price of it; let a [[pools]] entry serve it if it runs on your own machines"


def _buckets(window: Window, step: timedelta) -> list[Window]:
    """Whole buckets aligned to the epoch; the last ends with the window."""
    seconds = int(step.total_seconds())
    first = int(window.start.timestamp()) // seconds * seconds
    starts = [datetime.fromtimestamp(at, UTC) for at in range(first, int(window.end.timestamp()) + 1, seconds)]
    return [Window(start, min(start + step, window.end)) for start in starts if start < window.end]


def _minute_numbers(bucket: Window) -> tuple[int, int]:
    """First and one past the last minute since the epoch that the bucket touches."""
    return int(bucket.start.timestamp()) // 60, -int(-bucket.end.timestamp() // 60)


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
