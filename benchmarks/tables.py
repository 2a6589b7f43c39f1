"""A table of results: made once, rendered as text for the terminal and as Markdown for the guide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A title, what it says under it, and cells; numbers are already written out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def as_text(self) -> str:
        """Return it in columns: texts to the left, numbers to the right."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [self.title, *([self.note] if self.note else [])]
        for row in (self.columns, *self.rows):
            cells = (
                cell.ljust(width) if self._is_text(index) else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """Return it as a section of a Markdown page."""
        rule = ("---" if self._is_text(index) else "---:" for index in range(len(self.columns)))
        lines = [" | ".join(row) for row in (self.columns, tuple(rule), *self.rows)]
        note = f"{self.note}\n\n" if self.note else ""
        return f"### {self.title}\n\n{note}" + "\n".join(f"| {line} |" for line in lines) + "\n"

    def _is_text(self, index: int) -> bool:
        return not all(row[index][:1] in "0123456789+-." for row in self.rows)
