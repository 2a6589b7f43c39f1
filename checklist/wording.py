"""How amounts are written for people: ages and bytes with the unit that fits."""

from __future__ import annotations


def age_text(seconds: float) -> str:
    """A length of time in its largest fitting unit: `40 s`, `4 min`, `2.5 h`, `3 d`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} d"


def bytes_text(count: float) -> str:
    """Bytes in binary units: `512 B`, `64.0 KiB`, `1.5 GiB`."""
    sign, size = ("-", -count) if count < 0 else ("", count)
    if size < 1024:
        return f"{sign}{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{sign}{size:.1f} {unit}"
    return f"{sign}{size / 1024:.1f} TiB"
