"""The promise that the SDK never raises into its host, as a type.

Everything that a decorated function or a user's call can reach goes through `never_raises`: what returned `R` returns
`R | None`, and the type checker makes each caller say what happens when there is nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from andon.notices import Loss, losses

P = ParamSpec("P")
R = TypeVar("R")


def fault(where: str, error: Exception) -> None:
    """Count a fault inside the SDK, and log it at most once a minute. For the hot paths, which catch for themselves."""
    try:
        losses.add(Loss.FAULT, 1, f"{where} failed with {type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - an error whose text cannot be had
        with suppress(Exception):  # no room on the stack
            losses.add(Loss.FAULT, 1, f"{where} failed with {type(error).__name__}")


def never_raises(fn: Callable[P, R]) -> Callable[P, R | None]:
    """Return `fn` with every exception turned into None, counted and logged at most once a minute.

    `KeyboardInterrupt`, `SystemExit` and task cancellation are not faults of the SDK and pass through.
    """

    @wraps(fn)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one place where anything may have gone wrong
            fault(f"andon.{fn.__name__}", error)
            return None

    return guarded
