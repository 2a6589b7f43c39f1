"""`andon drift`: capture baselines, judge closed windows, and say how the monitors stand.

Each command asks the server that runs on the data directory; without one it opens the stores and does the work itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
import typer
from pydantic import TypeAdapter, ValidationError

from cli.options import ConfigOption, DataDirOption
from cli.stores import open_stores, running_server
from dashboard.api import DriftJson
from dashboard.parameters import ParameterError, parse_time
from drift.baseline import BaselineRefusedError, spaced
from drift.capture import capture
from drift.monitor import DriftMonitors
from drift.status import BaselineStatus, MonitorStatus, baseline_status, read_status
from settings import DriftMonitor, Settings, SettingsError, load_settings
from store.errors import StoreError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Drift monitors: baselines, verdicts, state.",
)

ANSWER_SECONDS = 60.0
_T = TypeVar("_T")
_STATUS: TypeAdapter[DriftJson] = TypeAdapter(DriftJson)
_BASELINE: TypeAdapter[BaselineStatus] = TypeAdapter(BaselineStatus)


@app.command(
    epilog="Examples:\n\n  andon drift baseline answer-length\n\n"
    "  andon drift baseline answer-length --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z"
)
def baseline(
    monitor: Annotated[str, typer.Argument(help="name of a monitor of andon.toml")],
    start: Annotated[
        str | None, typer.Option("--from", help="ISO 8601 or now-7d [default: the newest windows that are enough]")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="ISO 8601 or now-1h [default: now]")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Capture a monitor's next baseline from stored data. Exit code: 0 captured, 1 not (yet), 2 bad input."""
    settings = _settings(config, data_dir)
    chosen = find_monitor(settings, monitor)
    now = datetime.now(UTC)
    try:
        first = None if start is None else parse_time("--from", start, now)
        last = None if end is None else parse_time("--to", end, now)
    except ParameterError as error:
        raise SettingsError(str(error)) from None
    try:
        captured = _capture(settings, chosen, now, first, last)
    except BaselineRefusedError as refused:
        typer.echo(f"andon: {refused}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"{monitor}: baseline {captured.version} from {spaced(captured.rows)} rows in {spaced(captured.windows)} "
        f"windows, {_at(captured.range_start)} to {_at(captured.range_end)}"
    )


@app.command()
def run(config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Judge the windows that have closed and are not judged yet."""
    settings = _settings(config, data_dir)
    url = running_server(settings.data_dir)
    if url is not None:
        typer.echo(
            f"the server at {url} judges closed windows by itself every {settings.drift.poll_seconds:g} s; "
            "see `andon drift status`"
        )
        return
    with open_stores(settings) as stores:
        monitors = DriftMonitors(stores.telemetry, stores.control, settings.drift.monitors)
        for judged in monitors.run_once(datetime.now(UTC)):
            state = "unknown" if judged.state is None else judged.state.value
            problem = f" ({judged.problem})" if judged.problem else ""
            typer.echo(f"{judged.monitor}: {spaced(judged.windows)} windows judged, {state}{problem}")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="print what GET /api/v1/drift answers")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print how every monitor stands."""
    settings = _settings(config, data_dir)
    found = _status(settings)
    if as_json:
        typer.echo(_STATUS.dump_json(found, indent=2).decode())
    elif not found.monitors:
        typer.echo("no drift monitor is configured: add [[drift.monitors]] to andon.toml")
    else:
        typer.echo("\n".join(line for monitor in found.monitors for line in render(monitor)))


def find_monitor(settings: Settings, name: str) -> DriftMonitor:
    """The monitor of that name.

    Raises:
        SettingsError: there is none; names those that there are.
    """
    for monitor in settings.drift.monitors:
        if monitor.name == name:
            return monitor
    known = ", ".join(monitor.name for monitor in settings.drift.monitors) or "none"
    raise SettingsError(f"no drift monitor is named {name!r}; andon.toml defines: {known}")


def render(monitor: MonitorStatus) -> Iterator[str]:
    """One monitor as lines of text."""
    since = "" if monitor.since is None else f" since {_at(monitor.since)}"
    yield f"{monitor.state.value.upper():9} {monitor.name}{since}"
    yield f"          {monitor.detail}"
    if monitor.evidence is not None:
        yield f"          evidence {monitor.evidence:.3g} of {monitor.threshold:.3g}, {_counted(monitor)}"
    effects = monitor.effects
    if effects is not None and effects.shift is not None:
        yield (
            f"          shift {effects.shift:+.3f} ({effects.shift_low:+.3f} to {effects.shift_high:+.3f}), "
            f"KS {_figure(effects.ks)}, W1/IQR {_figure(effects.w1_iqr)}, PSI {_figure(effects.psi)} "
            f"({_figure(effects.psi_expected)} expected by chance)"
        )


def _counted(monitor: MonitorStatus) -> str:
    text = f"{spaced(monitor.windows_judged)} windows judged"
    if monitor.baseline is not None:
        known = monitor.baseline
        text += f", baseline {known.version} of {spaced(known.rows)} rows in {spaced(known.windows)} windows"
    return text


def _capture(
    settings: Settings, monitor: DriftMonitor, now: datetime, start: datetime | None, end: datetime | None
) -> BaselineStatus:
    url = running_server(settings.data_dir)
    if url is None:
        with open_stores(settings) as stores:
            return baseline_status(capture(stores.telemetry, stores.control, monitor, now, start, end))
    given = {name: moment.isoformat() for name, moment in (("from", start), ("to", end)) if moment is not None}
    answer = _ask(settings, "POST", f"{url}/api/v1/drift/{quote(monitor.name, safe='')}/baseline", given)
    if answer.status_code == httpx.codes.CONFLICT:
        raise BaselineRefusedError(_reason(answer))
    return _read(_BASELINE, answer, url)


def _status(settings: Settings) -> DriftJson:
    url = running_server(settings.data_dir)
    if url is None:
        with open_stores(settings) as stores:
            return DriftJson(datetime.now(UTC), read_status(stores.control, settings.drift.monitors))
    return _read(_STATUS, _ask(settings, "GET", f"{url}/api/v1/drift", {}), url)


def _ask(settings: Settings, method: str, url: str, given: dict[str, str]) -> httpx.Response:
    try:
        return httpx.request(method, url, params=given, timeout=ANSWER_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise StoreError(f"the server that runs on {settings.data_dir} did not answer {url}: {error}") from None


def _read(kind: TypeAdapter[_T], answer: httpx.Response, url: str) -> _T:
    try:
        answer.raise_for_status()
        return kind.validate_json(answer.content)
    except (httpx.HTTPError, ValidationError):
        raise StoreError(f"the server at {url} answered {answer.status_code}: {_reason(answer)}") from None


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    return load_settings(config, {} if data_dir is None else {"data_dir": data_dir})


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
