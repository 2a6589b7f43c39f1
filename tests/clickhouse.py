"""The small ClickHouse server of `tests.clickhouse_server` as a process, alone or as a node of a cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLUSTER = "andon"


@contextmanager
def running_clickhouse(folder: Path, cluster: str | None = None) -> Iterator[str]:
    """Its host and port, as they stand in a clickhousedb:// URL; it ends with the block."""
    command = [sys.executable, "-m", "tests.clickhouse_server", "--port", "0", "--path", str(folder)]
    command += ["--cluster", cluster] if cluster else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "the ClickHouse test server did not start"
            yield address.removeprefix("http://")
        finally:
            process.kill()
