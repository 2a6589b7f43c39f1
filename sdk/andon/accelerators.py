"""What ties a process to its host and its accelerators, as resource attributes, without a driver library.

Reads variables, /proc/driver/nvidia and a machine id: a few small files, because `andon.init` may not wait for a driver
to start. The ids are the UUIDs that NVML and DCGM report as `hw.id`, so that tokens and joules can be joined.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource

from andon import attributes
from andon.guard import never_raises
from andon.visibility import Board, visible_accelerators

ROOT: Final = Path("/")

AttributeValues = dict[str, str | int | tuple[str, ...]]


def process_resource(given: Mapping[str, str]) -> Resource:
    """Return the resource of this process: `given` beats `OTEL_RESOURCE_ATTRIBUTES`, which beats what was found."""
    found: AttributeValues = {**(host_attributes(os.environ) or {}), **(accelerator_attributes(os.environ) or {})}
    return Resource(found).merge(Resource.create(dict(given)))


@never_raises
def accelerator_attributes(env: Mapping[str, str], root: Path = ROOT) -> AttributeValues:
    """Return the accelerators that this process may use, not those that it does use; unknown is left out.

    Args:
        env: environment variables, see `andon.visibility`.
        root: where the file system begins.
    """
    found: AttributeValues = {}
    pool = env.get("ANDON_ACCELERATOR_POOL", "").strip()
    if pool:
        found[attributes.ACCELERATOR_POOL] = pool
    visible = visible_accelerators(env, boards_of_host(root))
    if visible is None:
        return found
    if visible.ids:
        found[attributes.ACCELERATOR_IDS] = visible.ids
    if visible.count is not None:
        found[attributes.ACCELERATOR_COUNT] = visible.count
    if visible.sku:
        found[attributes.ACCELERATOR_SKU] = visible.sku
    return found


@never_raises
def host_attributes(env: Mapping[str, str], root: Path = ROOT) -> AttributeValues:
    """Return the name of the host, and its machine id where that is not a container image's."""
    found: AttributeValues = {attributes.HOST_NAME: socket.gethostname()}
    contained = "KUBERNETES_SERVICE_HOST" in env or any(
        (root / mark).exists() for mark in (".dockerenv", "run/.containerenv")
    )
    identity = None if contained else _read(root / "etc/machine-id")
    if identity and identity.strip():
        found[attributes.HOST_ID] = identity.strip()
    return found


def boards_of_host(root: Path = ROOT) -> tuple[Board, ...]:
    """Return the NVIDIA GPUs that this process can open, in the order of their PCI addresses; empty if none."""
    try:
        # 0000:04:00.0 in hexadecimal digits of equal number: the order of the names is that of the addresses.
        folders = sorted((root / "proc/driver/nvidia/gpus").iterdir())
    except OSError:
        return ()
    boards: list[Board] = []
    for folder in folders:
        facts = dict(_facts(_read(folder / "information") or ""))
        # A container sees every GPU of the host under /proc, but has device nodes of its own GPUs only.
        if not (root / f"dev/nvidia{facts.get('Device Minor')}").exists():
            continue
        uuid = facts.get("GPU UUID", "")
        boards.append(Board(uuid=None if not uuid or "?" in uuid else uuid, model=facts.get("Model") or None))
    return tuple(boards)


def _facts(text: str) -> list[tuple[str, str]]:
    pairs = [line.partition(":") for line in text.splitlines()]
    return [(name.strip(), value.strip()) for name, colon, value in pairs if colon]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
