"""Which of the GPUs that NVML shows are this process' own: NVML knows nothing of CUDA_VISIBLE_DEVICES.

Takes samples and the environment, returns UUIDs.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from andon.gpu.samples import Sample
from andon.visibility import Board, visible_boards


@dataclass(frozen=True, slots=True)
class Scope:
    """The GPUs of a process.

    Attributes:
        uuids: of whole boards, also where the process has an instance on it only.
        whole: whether the process has all of each.
    """

    uuids: tuple[str, ...] = ()
    whole: bool = True


def scope_of_process(samples: Sequence[Sample], env: Mapping[str, str] = os.environ) -> Scope:
    """Return the boards that `env` leaves to this process; all of them where the environment cannot be followed."""
    visible = visible_boards(env, [Board(sample.uuid, sample.name) for sample in samples])
    if visible.ids is None:
        return Scope(tuple(sample.uuid for sample in samples))
    wanted = set(visible.ids)
    uuids = tuple(
        sample.uuid
        for sample in samples
        if sample.uuid in wanted or not wanted.isdisjoint(part.uuid for part in sample.mig_instances)
    )
    return Scope(uuids, whole=not any(identity.startswith("MIG-") for identity in wanted))
