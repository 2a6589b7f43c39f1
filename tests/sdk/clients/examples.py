"""The examples of the guide, by the heading above them."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = (Path(__file__).parents[3] / "docs" / "clients.md").read_text(encoding="utf-8")

# Which environment runs the examples under which heading.
LOCAL = frozenset(("Transformers", "vLLM in the same process"))


def examples(local: bool) -> list[tuple[str, str]]:
    """Heading and program of each example."""
    found: list[tuple[str, str]] = []
    for section in GUIDE.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        found += [(heading, code) for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL)]
    return [(heading, code) for heading, code in found if (heading in LOCAL) is local]
