"""Tensors of token ids, without importing what makes them: rows of whole numbers, read once.

From and to the reader of transformers alone.
"""

from dataclasses import dataclass
from typing import Any, Final

_MAX_IDS: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Ids:
    """A tensor of ids as rows of equal width."""

    tensor: Any
    rows: list[list[int]]

    @property
    def height(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return len(self.rows[0])

    def begins_with(self, prompt: "Ids") -> bool:
        """Whether each row goes on from its prompt; several rows in a block may go on from the same one."""
        if self.height % prompt.height or self.width < prompt.width:
            return False
        each = self.height // prompt.height
        width = prompt.width
        return all(row[:width] == prompt.rows[place // each] for place, row in enumerate(self.rows))


def ids_of(value: Any) -> Ids | None:
    """Return the rows of a tensor of whole numbers with one or two dimensions; None for anything else."""
    cls = type(value)
    if cls.__name__ != "Tensor" or not cls.__module__.startswith("torch"):
        return None
    try:
        if value.dtype.is_floating_point or str(value.dtype) not in ("torch.int64", "torch.int32"):
            return None
        if value.dim() not in (1, 2) or not 0 < value.numel() <= _MAX_IDS:
            return None
        rows = value.tolist()
    except (RuntimeError, NotImplementedError, TypeError):
        return None  # a tensor without values
    return Ids(value, [rows] if value.dim() == 1 else rows)


def mask_sum(value: Any, prompt: Ids) -> int | None:
    """Return how many tokens of the prompt an attention mask leaves; None where it is no mask of that prompt."""
    mask = ids_of(value)
    if mask is None or mask.height != prompt.height or mask.width != prompt.width:
        return None
    if any(kept not in (0, 1) for row in mask.rows for kept in row):
        return None
    return sum(map(sum, mask.rows))
