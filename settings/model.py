"""What can be set, with its type, unit, default and meaning.

Each field's description is what `docs/settings.md` prints and what an error message points to; nothing reads an
environment variable or a file outside `settings/`.
"""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import URL

from settings.scrape import ScrapeTarget, refuse_repeated


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the value, what is allowed and where to change it."""


def is_loopback(host: str) -> bool:
    """Whether an address to bind is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ServerSettings(_Part):
    """Where the dashboard and the collector listen."""

    host: str = Field("127.0.0.1", description="address to bind; loopback only until there is login")
    port: int = Field(8300, ge=0, le=65535, description="dashboard and JSON API; 0 picks a free port")
    otlp_http_port: int = Field(4318, ge=0, le=65535, description="OTLP/HTTP receiver; 0 picks a free port")
    otlp_grpc_port: int = Field(4317, ge=0, le=65535, description="OTLP/gRPC receiver; 0 picks a free port")
    public_url: str | None = Field(
        None,
        description="address of the dashboard as people reach it, for alert messages; default: this process's",
    )


class CollectorSettings(_Part):
    """Limits of the receiver and rhythm of the journal."""

    max_body_bytes: int = Field(64 * 2**20, gt=0, description="largest request body, before and after decompression")
    max_in_flight_bytes: int = Field(512 * 2**20, gt=0, description="decoded request bytes held at once; above: 503")
    journal_max_bytes: int = Field(4 * 2**30, gt=0, description="disk budget of the journal; above: 503")
    seal_seconds: float = Field(1.0, gt=0, description="age at which an open segment is handed to the writer")
    seal_bytes: int = Field(32 * 2**20, gt=0, description="size at which an open segment is handed to the writer")
    fold_seconds: float = Field(
        2.0, gt=0, description="pause between looks for slices to fold; for minutes, five times"
    )
    grace_seconds: float = Field(10.0, ge=0, description="how long after its end a minute stays open")
    max_values_per_column: int = Field(
        10_000,
        ge=1,
        description="new values that a column of names may take in a day, per project; others become `__other__`",
    )
    max_pipelines_and_stages: int = Field(
        1_000, ge=1, description="the same for pipelines, and for stages, which the page has a row for each of"
    )
    host: str | None = Field(
        None,
        description="address that the OTLP receivers bind [server.host]; beyond loopback only with require_key",
    )
    require_key: bool = Field(
        False, description="refuse senders without a key; a key that is given must be right in any case"
    )
    items_per_second: float | None = Field(
        None,
        gt=0,
        description="spans, points and records that one key, or all senders without one, may send; above: 429. "
        "A key may have a limit of its own",
    )
    burst_items: int | None = Field(
        None, gt=0, description="how many items may come at once after a pause [those of ten seconds]"
    )
    tls_cert: Path | None = Field(None, description="certificate chain (PEM) of the OTLP receivers: TLS on both")
    tls_key: Path | None = Field(None, description="private key (PEM) that belongs to tls_cert")
    scrape: tuple[ScrapeTarget, ...] = Field((), description="targets whose metrics are scraped")

    @model_validator(mode="after")
    def _certificate_and_key_come_together(self) -> CollectorSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("collector.tls_cert and collector.tls_key are set together, or neither")
        return self

    @field_validator("scrape")
    @classmethod
    def _targets_are_apart(cls, targets: tuple[ScrapeTarget, ...]) -> tuple[ScrapeTarget, ...]:
        return refuse_repeated(targets)


class Serves(_Part):
    """Which traffic a capacity pool serves; a call belongs to the pool when every list given holds its value."""

    models: tuple[str, ...] = Field((), description="model names")
    providers: tuple[str, ...] = Field((), description="provider names")
    services: tuple[str, ...] = Field((), description="service.name values")
    pipelines: tuple[str, ...] = Field((), description="pipeline names")


class Pool(_Part):
    """Accelerators that are paid for by the hour, used or not."""

    name: str = Field(min_length=1, description="name shown on the page")
    accelerator: str = Field(description="accelerator type, for example H100-SXM")
    count: int = Field(ge=1, description="how many accelerators")
    usd_per_hour: Decimal = Field(ge=0, description="price of ONE accelerator for one hour, USD")
    basis: Literal["rented", "reserved", "spot", "owned"] = Field("rented", description="what kind of price this is")
    serves: Serves = Field(Serves(), description="which traffic the pool serves")


class DriftMonitor(_Part):
    """One signal watched against one baseline."""

    name: str = Field(min_length=1, description="name of the monitor")
    signal: str = Field(
        description="what is watched: output_tokens, input_tokens, time_to_first_token_seconds, duration_seconds, "
        "or an observation: feature.<name>, prediction, score, label"
    )
    pipeline: str | None = Field(None, description="only this pipeline")
    stage: str | None = Field(None, description="only this stage")
    model: str | None = Field(None, description="only this model")
    window_seconds: float = Field(3600, gt=0, description="length of a window")
    average_run_length: float = Field(
        10_000, gt=1, description="windows between false alarms that the monitor guarantees (the e-detector's A)"
    )
    min_windows: int = Field(20, ge=4, description="windows that a baseline needs")
    min_rows: int = Field(5_000, ge=50, description="rows that a baseline needs")
    auto_baseline: bool = Field(False, description="capture the first baseline as soon as there is enough data")
    grace_seconds: float = Field(5.0, ge=0, description="how long after its end a window waits for late rows")


class DriftSettings(_Part):
    poll_seconds: float = Field(15.0, gt=0, description="pause between looks for closed windows")
    monitors: tuple[DriftMonitor, ...] = Field((), description="what is watched")


class CdcSource(_Part):
    """A PostgreSQL source whose logical replication slots are watched; the role needs pg_monitor, nothing more."""

    name: str = Field(min_length=1, description="name shown on the checklist")
    url: SecretStr = Field(description="postgresql:// URL of the source database")
    slots: tuple[str, ...] = Field((), description="slots that must exist; every other logical slot is judged as well")
    ignored_slots: tuple[str, ...] = Field((), description="slots that are not judged")
    consumers: Literal["streaming", "batched"] = Field(
        "streaming", description="batched: consumers connect now and then, so an idle slot may move between two polls"
    )
    connect_timeout_seconds: int = Field(3, ge=2, description="time a connection may take")
    statement_timeout_seconds: float = Field(3, gt=0, description="time the one query may take")
    lag_warn_bytes: int = Field(256 * 2**20, gt=0, description="unconfirmed WAL that warns")
    lag_fail_bytes: int = Field(2**30, gt=0, description="unconfirmed WAL that fails")
    lag_warn_seconds: float = Field(60, gt=0, description="lag that warns")
    lag_fail_seconds: float = Field(300, gt=0, description="lag that fails")
    lag_hold_seconds: float = Field(120, ge=0, description="how long lag must hold before it counts")
    inactive_warn_seconds: float = Field(60, gt=0, description="time without a consumer that warns")
    inactive_fail_seconds: float = Field(300, gt=0, description="time without a consumer that fails")
    ack_warn_seconds: float = Field(30, gt=0, description="time without an acknowledgement that warns")
    ack_fail_seconds: float = Field(60, gt=0, description="time without an acknowledgement that fails")
    lag_floor_bytes: int = Field(
        64 * 2**10,
        ge=0,
        description="unconfirmed WAL below which seconds of lag do not count: an idle server writes some",
    )
    budget_warn_fraction: float = Field(0.5, gt=0, le=1, description="share of max_slot_wal_keep_size left that warns")
    budget_fail_fraction: float = Field(0.2, gt=0, le=1, description="share of max_slot_wal_keep_size left that fails")
    budget_fail_seconds: float = Field(4 * 3600, ge=0, description="time until the slot is lost that fails")
    transaction_warn_seconds: float = Field(900, gt=0, description="age of the oldest writing transaction that warns")
    transaction_fail_seconds: float = Field(3600, gt=0, description="age of the oldest writing transaction that fails")
    catalog_xmin_warn: int = Field(50_000_000, gt=0, description="age of catalog_xmin, in transactions, that warns")
    catalog_xmin_fail: int = Field(150_000_000, gt=0, description="age of catalog_xmin, in transactions, that fails")


class TcoSettings(_Part):
    """Inputs of the 3:1 check that telemetry cannot know."""

    egress_usd_per_gb: Decimal | None = Field(None, ge=0, description="price of egress, USD per GB (1e9 bytes)")
    egress_bytes_per_output_token: Decimal | None = Field(
        None, ge=0, description="bytes that leave per output token: about 217 streamed as SSE, 6.6 unary"
    )
    baseline_provider: str | None = Field(None, description="provider whose API price is the alternative")
    baseline_model: str | None = Field(None, description="model whose API price is the alternative")
    window_seconds: float = Field(3600, gt=0, description="window over which costs are compared")
    target_ratio: Decimal = Field(Decimal(3), gt=0, description="cost ratio that is claimed: 3 for 3:1")
    min_coverage: Decimal = Field(
        Decimal("0.9"), ge=0, le=1, description="share of calls with known tokens below which no ratio is claimed"
    )


class ObservabilitySettings(_Part):
    expected_pipelines: tuple[str, ...] = Field((), description="pipelines that must report; silence is a finding")
    silent_warn_seconds: float = Field(120, gt=0, description="silence that warns")
    silent_fail_seconds: float = Field(300, gt=0, description="silence that fails")
    remember_seconds: float = Field(
        86400, gt=0, description="how long a pipeline that is not expected is remembered after its last span"
    )
    unpriced_window_seconds: float = Field(3600, gt=0, description="window in which unpriced models are looked for")
    monitor_stale_windows: float = Field(3, gt=0, description="windows without a decision after which drift is stale")


class ChecklistSettings(_Part):
    poll_seconds: float = Field(15.0, gt=0, description="pause between polls of the checks")
    deadline_seconds: float = Field(10.0, gt=0, description="time one check may take before it counts as unknown")
    cdc: tuple[CdcSource, ...] = Field((), description="PostgreSQL sources whose slots are watched")
    tco: TcoSettings = Field(TcoSettings(), description="inputs of the 3:1 check")
    observability: ObservabilitySettings = Field(ObservabilitySettings(), description="what must be instrumented")


class WebhookChannelSettings(_Part):
    name: str = Field(min_length=1, description="name that rules refer to")
    kind: str = Field("webhook", description="kind of channel")
    url: AnyHttpUrl = Field(description="where messages are posted; https unless the address is allowed below")
    secret: SecretStr = Field(description="Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes")
    allow_private: tuple[str, ...] = Field(
        (), description="networks (CIDR) outside the public internet that this channel may reach, also over http"
    )


class AlertRule(_Part):
    """When to call people: a signal, a comparison, and how long it must hold."""

    name: str = Field(min_length=1, description="name of the rule")
    signal: str = Field(description="what is compared, for example checklist.state, drift.state, usage.tps_per_usd_h")
    labels: dict[str, str] = Field(default_factory=dict, description="only signals with these labels")
    op: Literal["==", "!=", ">", ">=", "<", "<="] = Field(description="comparison")
    value: str | float = Field(description="what the signal is compared with")
    for_seconds: float = Field(0, ge=0, description="how long the comparison must hold before it fires")
    keep_firing_seconds: float = Field(0, ge=0, description="how long it must be false before it resolves")
    severity: Literal["info", "warning", "error", "critical"] = Field("error", description="severity sent along")
    no_data: Literal["keep", "ok", "fire"] = Field("keep", description="what a signal without data means")
    channels: tuple[str, ...] = Field((), description="channel names; empty: all")


class AlertSettings(_Part):
    poll_seconds: float = Field(5.0, gt=0, description="pause between evaluations")
    channels: tuple[WebhookChannelSettings, ...] = Field((), description="where messages go")
    default_rules: bool = Field(True, description="alert on a failed or unknown check and on drift without any rule")
    rules: tuple[AlertRule, ...] = Field((), description="own rules")


def _for_ever_is_no_limit(given: object) -> object:
    if isinstance(given, str) and given != "forever" and not given.strip().isdecimal():
        raise ValueError('write whole days, or "forever"')
    return None if given == "forever" else given


Days = Annotated[Annotated[int, Field(ge=1, le=36_500)] | None, BeforeValidator(_for_ever_is_no_limit)]
"""Whole days; None, written `"forever"`, keeps everything."""


class ProjectRetention(_Part):
    """What one project keeps, where it is not what the others keep. Whole days, or "forever"."""

    spans: Days = Field(None, description="days of spans; default: as `retention.spans`")
    metric_points: Days = Field(None, description="days of metric points; default: as `retention.metric_points`")
    logs: Days = Field(None, description="days of log records; default: as `retention.logs`")
    observations: Days = Field(None, description="days of observations; default: as `retention.observations`")


class RetentionSettings(_Part):
    """How long rows are kept: whole days (UTC) after the end of their day, or "forever"."""

    spans: Days = Field(30, description="days of spans; a day goes when its minutes are rolled up")
    metric_points: Days = Field(30, description="days of metric points; a day goes when its minutes are rolled up")
    logs: Days = Field(14, description="days of log records")
    observations: Days = Field(90, description="days of observations, which baselines of drift are captured from")
    rollups: Days = Field(730, description="days of what is known of each minute; whole months are dropped")
    alerts: Days = Field(90, description="days of the history of alerts and of what was sent")
    engine_logs: Days = Field(7, description="days of the system.*_log tables of a ClickHouse server")
    projects: dict[str, ProjectRetention] = Field(default_factory=dict, description="projects that keep other days")

    @model_validator(mode="after")
    def _rollups_outlive_what_they_are_made_of(self) -> RetentionSettings:
        for raw in ("spans", "metric_points"):
            kept = [self.days(raw), *(self.days(raw, project) for project in self.projects)]
            longest = None if None in kept else max(days for days in kept if days is not None)
            if self.rollups is not None and (longest is None or longest > self.rollups):
                raise ValueError(
                    f"rollups = {self.rollups} days is shorter than {raw} = {longest or 'forever'}; roll-ups outlive "
                    "the rows that they are made of"
                )
        return self

    def days(self, policy: str, project: str | None = None) -> int | None:
        """Days that `project` keeps of `policy` (a field of this class); None: for ever. Project None: the default."""
        own = self.projects.get(project) if project is not None else None
        chosen = own if own is not None and policy in own.model_fields_set else self
        found: int | None = getattr(chosen, policy)
        return found


class Settings(_Part):
    """Everything that can be set. `data_dir` holds both embedded stores and the journal."""

    data_dir: Path = Field(Path("andon-data"), description="folder of the embedded stores and the journal")
    telemetry_url: str | None = Field(None, description="SQLAlchemy URL of the telemetry store; default: chDB")
    control_url: str | None = Field(None, description="SQLAlchemy URL of the control store; default: SQLite")
    window_seconds: float = Field(300, gt=0, le=31_536_000, description="window of the headline")
    server: ServerSettings = ServerSettings()
    collector: CollectorSettings = CollectorSettings()
    pools: tuple[Pool, ...] = Field((), description="capacity pools")
    drift: DriftSettings = DriftSettings()
    checklist: ChecklistSettings = ChecklistSettings()
    alerts: AlertSettings = AlertSettings()
    retention: RetentionSettings = RetentionSettings()

    @property
    def journal_dir(self) -> Path:
        return self.data_dir / "journal"

    @property
    def collector_host(self) -> str:
        """Address that the OTLP receivers bind."""
        return self.collector.host or self.server.host

    @field_validator("pools")
    @classmethod
    def _pools_have_names_of_their_own(cls, pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
        names = [pool.name for pool in pools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two pools are named {twice[0]!r}; names under [[pools]] are unique")
        return pools

    @property
    def embedded(self) -> bool:
        """Whether a store is an engine inside the process, which no other process may open."""
        remote = self.telemetry_url is not None and "interface=chdb" not in self.telemetry_url
        return not remote or self.control_url is None or self.control_url.startswith("sqlite")

    def resolved_telemetry_url(self) -> str | URL:
        """The telemetry URL, or the chDB engine in `data_dir`."""
        folder = str(self.data_dir.resolve() / "telemetry")
        embedded = URL.create("clickhousedb", database="default", query={"interface": "chdb", "path": folder})
        return self.telemetry_url or embedded

    def resolved_control_url(self) -> str | URL:
        """The control URL, or SQLite in `data_dir`."""
        return self.control_url or URL.create("sqlite", database=str(self.data_dir.resolve() / "control.sqlite"))
