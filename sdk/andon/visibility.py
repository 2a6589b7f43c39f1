"""Which accelerators a process may use, by the environment that its launcher, scheduler or container runtime gave it.

Pure: takes variables and the boards that are there, returns a `Visible`. Boards come from /proc (`andon.accelerators`)
or from NVML (`andon.gpu`). What cannot be told for certain is None: a wrong id is worse than none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, NamedTuple

_NO_DEVICE: Final = ("", "-1", "none", "nodevfiles")
_SLURM_GPUS: Final = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")


class Board(NamedTuple):
    """One NVIDIA GPU of the host, as far as it is known."""

    uuid: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Visible:
    """What a process may use.

    Attributes:
        ids: UUIDs of GPUs or MIG instances, or names such as `neuron-core-3`; None: they cannot be told.
        count: how many; None: unknown.
        sku: the model, if all of them are one.
    """

    ids: tuple[str, ...] | None
    count: int | None
    sku: str | None = None


NOTHING: Final = Visible(ids=(), count=0)


def visible_accelerators(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    """Return what `env` leaves visible, explicit variables first; None where nothing speaks of accelerators.

    Args:
        boards: NVIDIA GPUs that this process could open, in the order of their PCI addresses, which is NVML's order.
    """
    rules = (_cuda, _nvidia_container, _amd, _neuron, _tpu, _slurm)
    for rule in rules:
        found = rule(env, boards)
        if found is not None:
            return found
    return _of_boards(boards) if boards else None


def visible_boards(env: Mapping[str, str], boards: Sequence[Board]) -> Visible:
    """Return what `env` leaves visible of NVIDIA `boards`; all of them where it says nothing."""
    for rule in (_cuda, _nvidia_container, _slurm):
        found = rule(env, boards)
        if found is not None:
            return found
    return _of_boards(boards)


def _cuda(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    text = env.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    tokens: list[str] = []
    for token in _split(text):
        # CUDA takes the devices before the first that is none, and drops the rest.
        if not (token.isdecimal() or token.startswith(("GPU-", "MIG-"))):
            break
        tokens.append(token)
    if not tokens:
        return NOTHING
    if not all(token.isdecimal() for token in tokens):
        return _by_name(tokens, boards)
    if env.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID" and _model(boards) is None:
        # CUDA counts the fastest first: with mixed models its order is not that of the PCI addresses.
        return Visible(ids=None, count=len(tokens))
    return _by_cuda_index([int(token) for token in tokens], _slurm_gpus(env), boards)


def _by_cuda_index(indices: list[int], granted: list[int] | None, boards: Sequence[Board]) -> Visible:
    """Number the boards, of the host or of what Slurm's cgroup leaves of it."""
    within_host = indices
    if granted:
        within_grant = [granted[index] for index in indices] if max(indices) < len(granted) else None
        of_host = indices if set(indices) <= set(granted) else None
        if within_grant is not None and of_host is not None and within_grant != of_host:
            return Visible(ids=None, count=len(indices), sku=_model(boards))
        within_host = of_host or within_grant or indices
    return _by_index(within_host, boards)


def _nvidia_container(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    text = env.get("NVIDIA_VISIBLE_DEVICES")
    if text is None or text.strip() == "void":
        return None  # void: the devices came in another way, so what can be opened is what is visible
    tokens = _split(text)
    if text.strip().lower() in _NO_DEVICE:
        return NOTHING
    if tokens == ["all"]:
        return _of_boards(boards) if boards else None
    if all(token.isdecimal() for token in tokens):
        # Numbers of the host; inside a container only these are left, and they may be numbered anew.
        return _of_boards(boards) if len(tokens) == len(boards) else _by_index([int(token) for token in tokens], boards)
    if all(token.startswith(("GPU-", "MIG-")) for token in tokens):
        return _by_name(tokens, boards)
    return None


def _amd(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    # HIP's numbers count what ROCr has left, so HIP's list is the one that holds.
    text = env.get("HIP_VISIBLE_DEVICES", env.get("ROCR_VISIBLE_DEVICES"))
    if text is None:
        return None
    tokens = _split(text)
    if text.strip().lower() in _NO_DEVICE:
        return NOTHING
    named = all(token.startswith("GPU-") for token in tokens)
    return Visible(ids=tuple(tokens) if named else None, count=len(tokens))


def _neuron(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    text = env.get("NEURON_RT_VISIBLE_CORES")
    if text is not None:
        cores = _numbers(text)
        return None if cores is None else Visible(tuple(f"neuron-core-{core}" for core in cores), len(cores))
    count = env.get("NEURON_RT_NUM_CORES", "").strip()
    return Visible(ids=None, count=int(count)) if count.isdecimal() else None


def _tpu(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    sku = env.get("TPU_ACCELERATOR_TYPE") or None
    for variable in ("TPU_VISIBLE_CHIPS", "TPU_VISIBLE_DEVICES"):
        chips = _numbers(env.get(variable, ""))
        if chips:
            return Visible(tuple(f"tpu-chip-{chip}" for chip in chips), len(chips), sku)
    bounds = _numbers(env.get("TPU_CHIPS_PER_HOST_BOUNDS", ""))
    if bounds:
        return Visible(ids=None, count=prod(bounds), sku=sku)
    return Visible(ids=None, count=None, sku=sku) if sku else None


def _slurm(env: Mapping[str, str], boards: Sequence[Board]) -> Visible | None:
    granted = _slurm_gpus(env)
    if granted is None:
        return None
    return _by_index(granted, boards) if granted else NOTHING


def _slurm_gpus(env: Mapping[str, str]) -> list[int] | None:
    text = next((env[name] for name in _SLURM_GPUS if name in env), None)
    return None if text is None else _numbers(text)


def _of_boards(boards: Sequence[Board]) -> Visible:
    return Visible(_all_known([board.uuid for board in boards]), len(boards), _model(boards))


def _by_index(indices: list[int], boards: Sequence[Board]) -> Visible:
    if max(indices) >= len(boards):
        return Visible(ids=None, count=len(indices), sku=_model(boards))
    return _of_boards([boards[index] for index in indices])


def _by_name(tokens: list[str], boards: Sequence[Board]) -> Visible:
    ids: list[str | None] = []
    models: set[str | None] = set()
    for token in tokens:
        if token.isdecimal():
            found = [boards[int(token)]] if int(token) < len(boards) else []
        else:
            found = [board for board in boards if board.uuid is not None and board.uuid.startswith(token)]
        # CUDA takes any beginning of a UUID that fits one board only.
        unique = found[0] if len(found) == 1 else None
        ids.append(unique.uuid if unique is not None else None if token.isdecimal() else token)
        # A MIG instance does not say which board it is a part of.
        models.add(unique.model if unique is not None else _model(boards))
    return Visible(_all_known(ids), len(tokens), next(iter(models)) if len(models) == 1 else None)


def _model(boards: Sequence[Board]) -> str | None:
    models = {board.model for board in boards}
    return next(iter(models)) if len(models) == 1 else None


def _all_known(ids: Sequence[str | None]) -> tuple[str, ...] | None:
    known = tuple(identity for identity in ids if identity is not None)
    return known if len(known) == len(ids) else None


def _split(text: str) -> list[str]:
    return [token.strip() for token in text.split(",")]


def _numbers(text: str) -> list[int] | None:
    """Read `0,2-4` as [0, 2, 3, 4]; None when it is something else."""
    numbers: list[int] = []
    for token in _split(text) if text.strip() else []:
        first, dash, last = token.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return None
        numbers.extend(range(int(first), int(last if dash else first) + 1))
    return numbers
