"""`andon retention`: what is kept, for how long, and what goes next; `--apply` lets it go now.

It asks the server that runs on the data directory; without one it opens the stores. Embedded ones are then its own, and
it does the work itself; from stores that are servers only the worker removes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import httpx
import typer
from pydantic import TypeAdapter, ValidationError

from cli.options import ConfigOption, DataDirOption
from cli.output import say
from cli.stores import open_stores, running_server
from cli.upkeep import retention_of
from dashboard.retention import RetentionJson, RunJson, read_retention
from settings import Settings, SettingsError, load_settings
from store.errors import StoreError
from store.retention_status import Kept

ANSWER_SECONDS = 600.0
_STATUS: TypeAdapter[RetentionJson] = TypeAdapter(RetentionJson)
_RUN: TypeAdapter[RunJson] = TypeAdapter(RunJson)
_T = TypeVar("_T")


def retention(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="print what /api/v1/retention answers")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="remove what is past its policy now")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="tell what --apply would remove; change nothing")] = False,
) -> None:
    """Print what is kept, for how long and what goes next. Exit code: 0, or 2 when something could not be done."""
    if apply and dry_run:
        raise SettingsError("--apply and --dry-run contradict each other; give one of them")
    settings = load_settings(config, {} if data_dir is None else {"data_dir": data_dir})
    url = running_server(settings.data_dir)
    if apply:
        run = _apply(settings) if url is None else _asked(url, "POST", _RUN)
        say(_RUN.dump_json(run, indent=2).decode() if as_json else "\n".join(render_run(run)))
        return
    found = _look(settings) if url is None else _asked(url, "GET", _STATUS)
    if dry_run:
        say(_RUN.dump_json(found.due, indent=2).decode() if as_json else "\n".join(render_run(found.due)))
    else:
        say(_STATUS.dump_json(found, indent=2).decode() if as_json else "\n".join(render(found)))


def render(found: RetentionJson) -> Iterator[str]:
    """The standing as a table."""
    several = {line.table for line in found.kept if sum(other.table == line.table for other in found.kept) > 1}
    head = ("table", "project", "keeps", "oldest", "newest", "rows", "on disk", "goes next")
    yield from _aligned([head, *(_cells(line, shared=line.table in several) for line in found.kept)])
    total, waste = sum(line.bytes for line in found.bytes), sum(line.waste_bytes for line in found.bytes)
    yield ""
    yield f"all tables: {size_text(total)} on disk, {size_text(waste)} of it dropped and not yet removed by the engine"
    for engine_log in found.engine_logs:
        bound = "ends by its TTL" if engine_log.bounded else "GROWS WITHOUT END: see retention.engine_logs"
        yield f"system.{engine_log.name}: {engine_log.rows} rows, {size_text(engine_log.bytes)}, {bound}"
    if not found.engine_logs:
        yield "the engine's own logs: none is written"
    yield from render_run(found.due)
    if found.note is not None:
        yield found.note


def render_run(run: RunJson) -> Iterator[str]:
    """What a run removed or would remove."""
    verb = "would go" if run.dry else "went"
    if not run.partitions:
        yield "nothing is past its policy" if run.dry else "nothing was past its policy"
    for part in run.partitions:
        whose = "" if part.projects is None else f" of {', '.join(part.projects)}"
        what = f"{part.table} {part.partition}: {part.rows} rows{whose}"
        yield f"{what} {verb}" if part.waits_for is None else f"{what} wait: {part.waits_for}"
    for name, count in run.chores.items():
        if count:
            yield f"{name}: {count} went"


def _cells(line: Kept, *, shared: bool) -> tuple[str, ...]:
    return (
        line.table,
        line.project or "-",
        "for ever" if line.days is None else f"{line.days} d",
        f"{line.oldest:%Y-%m-%d}",
        f"{line.newest:%Y-%m-%d}",
        f"{line.rows}",
        f"{'~' if shared else ''}{size_text(line.bytes)}",
        "never" if line.next_at is None else f"{line.next_partition} on {line.next_at:%Y-%m-%d}",
    )


def size_text(count: int) -> str:
    """Bytes as people read them."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _asked(url: str, method: str, answer: TypeAdapter[_T]) -> _T:
    try:
        found = httpx.request(method, f"{url}/api/v1/retention", timeout=ANSWER_SECONDS, trust_env=False)
        if not found.is_success:
            raise StoreError(f"the server at {url} refused: {found.json()['error']['message']}")
        return answer.validate_json(found.content)
    except (httpx.HTTPError, ValidationError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"the server at {url} gave no answer about retention: {reason}") from None


def _look(settings: Settings) -> RetentionJson:
    with open_stores(settings) as stores:
        kept = retention_of(stores.telemetry, stores.control, settings) if settings.embedded else None
        return read_retention(stores.telemetry, settings.retention, kept, datetime.now(UTC))


def _apply(settings: Settings) -> RunJson:
    if not settings.embedded:
        raise SettingsError(
            "--apply: the stores are servers, and from them the worker removes what is past its policy, once an hour; "
            "run andon worker (or andon serve), and see with --dry-run what it will remove"
        )
    with open_stores(settings) as stores:
        now = datetime.now(UTC)
        return RunJson.of(retention_of(stores.telemetry, stores.control, settings).run_once(now))
