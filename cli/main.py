"""`andon ...`: the command line. A command's module is loaded when the command is used, so that `--help`, and a
checklist from cron, do not wait for a database engine. Errors are one clear line, never a stack trace."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.output import say


@dataclass(frozen=True)
class Command:
    """Where a command is, and its line in `andon --help`."""

    module: str
    attribute: str
    summary: str
    examples: tuple[str, ...] = ()


COMMANDS = {
    "serve": Command(
        "cli.serving",
        "serve",
        "Collect, store, watch and show: everything in one process.",
        (
            "andon serve",
            "andon serve --config andon.toml --data-dir /var/lib/andon",
            "andon serve --port 0 --otlp-port 0 --otlp-grpc-port 0",
        ),
    ),
    "demo": Command(
        "cli.demo",
        "demo",
        "Start everything with a small live factory.",
        (
            "andon demo",
            "andon demo --incident",
            "andon demo --data-dir demo-data --port 0 --otlp-port 0 --otlp-grpc-port 0",
        ),
    ),
    "collector": Command(
        "cli.serving",
        "collector",
        "Only collect: OTLP receivers, journal and writers, beside others.",
        (
            "andon collector --config andon.toml --data-dir /var/lib/andon",
            "ANDON_TELEMETRY_URL=clickhousedb://ch/andon ANDON_CONTROL_URL=postgresql://andon@pg/andon andon collector",
            "andon collector --data-dir /var/lib/andon --port 8301 --otlp-port 4318 --otlp-grpc-port 4317",
        ),
    ),
    "worker": Command(
        "cli.serving",
        "worker",
        "Only work: fold, drift, checks, alerts and their delivery, beside others.",
        (
            "andon worker --config andon.toml",
            "ANDON_TELEMETRY_URL=clickhousedb://ch/andon ANDON_CONTROL_URL=postgresql://andon@pg/andon andon worker",
            "andon worker --config andon.toml --port 8302",
        ),
    ),
    "dashboard": Command(
        "cli.serving",
        "dashboard",
        "Only show: pages and JSON API, beside others.",
        (
            "andon dashboard --config andon.toml",
            "ANDON_TELEMETRY_URL=clickhousedb://ch/andon ANDON_CONTROL_URL=postgresql://andon@pg/andon andon dashboard",
            "andon dashboard --config andon.toml --port 8300",
        ),
    ),
    "checklist": Command(
        "cli.checklist",
        "checklist",
        "Print the 3AM checklist; the exit code is its worst state.",
        (
            "andon checklist",
            "andon checklist --json",
            "*/5 * * * *  andon checklist --data-dir /var/lib/andon || page-me",
        ),
    ),
    "drift": Command("cli.drift", "app", "Drift monitors: baselines, verdicts, state."),
    "keys": Command("cli.keys", "app", "Keys of those who send: create, list, revoke."),
    "retention": Command(
        "cli.retention",
        "retention",
        "What is kept, for how long, and what goes next.",
        (
            "andon retention",
            "andon retention --dry-run",
            "andon retention --apply --json",
        ),
    ),
    "tco": Command(
        "cli.tco",
        "tco",
        "Compare API, rented, owned and hybrid costs of the measured demand.",
        (
            "andon tco",
            "andon tco --days 7 --json",
            "andon tco --example > scenario.toml",
            "andon tco --scenario scenario.toml --seed 7",
        ),
    ),
    "agent": Command(
        "cli.agent",
        "agent",
        "Send the metrics of this host's GPUs.",
        (
            "andon agent --endpoint http://collector:4318",
            "andon agent --interval 5",
            "andon agent --once",
        ),
    ),
}


class Commands(TyperGroup):
    """The commands of `COMMANDS`, loaded one by one; listing them loads none."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = COMMANDS.get(cmd_name)
        if command is None:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=command.summary)
        found = getattr(importlib.import_module(command.module), command.attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        shell = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        shell.command(name=cmd_name, epilog="Examples:\n\n" + "\n\n".join(f"  {line}" for line in command.examples))(
            found
        )
        return typer.main.get_command(shell)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


app = typer.Typer(name="andon", cls=Commands, pretty_exceptions_enable=False, add_completion=False)


@app.callback(invoke_without_command=True)
def andon(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False,
) -> None:
    """Andon watches AI factories: tokens per second per dollar, drift, and the 3AM checklist."""
    if version:
        say(f"andon {importlib.metadata.version('andon')}")
    elif context.invoked_subcommand is None:
        say(context.get_help())


def main() -> None:
    """Entry point; turns expected errors into one line on stderr and exit code 2."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from settings import SettingsError
        from store.errors import StoreError

        if not isinstance(error, SettingsError | StoreError):
            raise
        sys.stderr.write(f"andon: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
