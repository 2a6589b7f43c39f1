"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="an andon.toml; default: ./andon.toml if it is there")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="folder of the stores and the journal [default: andon-data]")
]
