"""The call decorated by Andon, set up by `andon.init` alone, as a user does; also with `ANDON_DISABLED=true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and initialise."""
    import andon

    andon.init("benchmark")


def subject() -> Subject:
    """Return the calls as stages."""
    import andon

    from benchmarks.sdk.subjects import INPUT_TOKENS, MODEL, OUTPUT_TOKENS, PROVIDER, decorated

    def record() -> None:
        andon.record_tokens(input=INPUT_TOKENS, output=OUTPUT_TOKENS, model=MODEL, provider=PROVIDER)

    return decorated(andon.stage("generate"), record)
