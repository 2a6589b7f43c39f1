"""One process per data directory: the embedded engine allows no more, and a command must know whether a server runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.errors import StoreError


@contextmanager
def owned(data_dir: Path) -> Iterator[None]:
    """Hold a data directory for this process alone; the embedded engine allows one.

    Raises:
        StoreError: another process holds it, or it cannot be made.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"the data directory {data_dir} cannot be used: {error.strerror}; choose another with --data-dir"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"the data directory {data_dir} is in use by another Andon process; stop it, ask it over its API, "
                "or choose another with --data-dir"
            ) from None
        yield
    finally:
        os.close(handle)


def is_owned(data_dir: Path) -> bool:
    """Whether a process holds the data directory now; what an earlier one left behind does not count."""
    try:
        handle = os.open(data_dir / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
