"""Equal service: options are compared only when each gives what is required. What is not stated is not assumed.

Required and delivered service come from the scenario; `calculate` leaves out of every ratio what this refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from economics.tco.scenario import Delivered, Required

_LIMITS = (
    ("context_tokens", "at least", "tokens"),
    ("time_to_first_token_seconds", "at most", "s"),
    ("time_per_output_token_seconds", "at most", "s"),
)


@dataclass(frozen=True)
class Refusal:
    """Why an option is not compared, and where to change it."""

    option: str
    reason: str
    fix: str


def refusals(option: str, required: Required, delivered: Delivered) -> tuple[Refusal, ...]:
    """Everything in which an option does not give, or does not say that it gives, what is required; empty if equal."""
    found = list(_model(option, required, delivered))
    for name, bound, unit in _LIMITS:
        wanted, given = getattr(required, name), getattr(delivered, name)
        field = f"{option}.service.{name}"
        if wanted is None:
            found.append(Refusal(option, f"what is required is not stated: {name}", f"set service.{name}"))
        elif given is None:
            found.append(Refusal(option, f"it does not say its {name}", f"set {field}"))
        elif (given < wanted) if bound == "at least" else (given > wanted):
            reason = f"{name} = {given} {unit}, required is {bound} {wanted} {unit}"
            found.append(Refusal(option, reason, f"correct {field}, or ask for less in service.{name}"))
    if delivered.good_share is None:
        fix = f"set {option}.service.good_share: 1 when no request fails or is too slow"
        found.append(Refusal(option, "the share of its tokens that are good is not stated", fix))
    return tuple(found)


def _model(option: str, required: Required, delivered: Delivered) -> tuple[Refusal, ...]:
    if required.model is None:
        return (Refusal(option, "the model that is good enough is not stated", "set service.model"),)
    if delivered.model is None:
        return (Refusal(option, "it does not say which model answers", f"set {option}.service.model"),)
    if delivered.model in (required.model, *required.equivalent_models):
        return ()
    fix = "list it in service.equivalent_models with the evaluation that found it as good (service.equivalence)"
    return (Refusal(option, f"{delivered.model} answers, required is {required.model}", fix),)


def good_share(delivered: Delivered) -> Decimal:
    """Share of tokens that count; 1 while it is not stated (such an option is not compared)."""
    return Decimal(1) if delivered.good_share is None else delivered.good_share
