"""`python -m economics.catalogue_tables` prints the tables of `docs/engines.md`, made from the catalogue itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from economics.catalogue import Catalogue, Signal, catalogue

_TAKEN = {
    "growth": "growth",
    "sum": "growth of its sum",
    "count": "growth of its count",
    "distribution": "distribution",
    "level": "level",
    "integral": "level × time",
}


def tables(found: Catalogue) -> str:
    """Quantities, signals by source, and what is left out, as Markdown."""
    return "\n".join([*_quantities(found), "", *_signals(found), "", *_left_out(found), ""])


def _quantities(found: Catalogue) -> Iterator[str]:
    yield from ("### Quantities", "", "| id | unit | form | definition |", "|---|---|---|---|")
    for quantity in found.quantities.values():
        yield f"| `{quantity.id}` | {quantity.unit} | {quantity.form} | {quantity.what} |"


def _signals(found: Catalogue) -> Iterator[str]:
    yield "### Signals"
    for source in found.sources.values():
        signals = [signal for signal in found.signals if signal.source.id == source.id]
        yield from ("", f"**{source.name}** (`{source.id}`)", "")
        yield from ("| metric | kind | taken | scale | quantity | part | vantage | precedence |", "|" + "---|" * 8)
        for signal in signals:
            cells = (
                f"`{signal.names[0]}`{_condition(signal)}",
                signal.kind.value,
                _TAKEN[signal.take],
                f"{signal.scale:g}",
                f"`{signal.quantity.id}`",
                signal.part or (f"`{signal.part_labels[0]}`" if signal.part_labels else ""),
                signal.vantage,
                str(signal.precedence),
            )
            yield "| " + " | ".join(cells) + " |"


def _left_out(found: Catalogue) -> Iterator[str]:
    yield from ("### Left out", "", "| source | metric | why |", "|---|---|---|")
    for (source, metric), reason in found.left_out.items():
        yield f"| {source} | `{metric}` | {reason} |"


def _condition(signal: Signal) -> str:
    conditions = [f"`{labels[0]}` = {' or '.join(filter(None, texts))}" for labels, texts in signal.only]
    return f" where {', '.join(conditions)}" if conditions else ""


if __name__ == "__main__":
    sys.stdout.write(tables(catalogue()))
