"""What a token costs in joules, on a real GPU: `python -m benchmarks.gpu`.

Generates tokens with a small transformer of random weights (torch, nothing is downloaded), and compares the energy that
the GPU's counter says with the integral of its power. Without a GPU or torch it says so in one line.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import andon
from andon.gpu import Energy, Sample
from andon.gpu.nvml import NvmlUnavailableError
from andon.gpu.sampling import session
from andon.gpu.scope import scope_of_process

TARGET: Final = 0.05
WARM_UP_SECONDS: Final = 3.0
BATCH: Final = 32
PROMPT_TOKENS: Final = 128
OUTPUT_TOKENS: Final = 256
VOCABULARY: Final = 32_000
WIDTH: Final = 1024
LAYERS: Final = 12
HEADS: Final = 16


@dataclass(frozen=True)
class Outcome:
    """Tokens generated in a window, and what they cost."""

    tokens: int
    seconds: float
    energy: Energy


def main() -> int:
    """Measure and print; returns 0, or 1 when counter and integral are further apart than the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the window")
    seconds = parser.parse_args().seconds
    try:
        samples = session.samples()
    except NvmlUnavailableError as error:
        print(f"not measured: no GPU ({error})")
        return 0
    scope = scope_of_process(samples)
    if not scope.uuids or not scope.whole:
        print("not measured: no GPU is this process' own (a MIG instance has no energy counter)")
        return 0
    # One GPU works and one is measured; set before CUDA starts.
    os.environ["CUDA_VISIBLE_DEVICES"] = scope.uuids[0]
    try:
        import torch
    except ImportError:
        print("not measured: torch is not installed")
        return 0
    if not torch.cuda.is_available():
        print(f"not measured: no GPU that torch {torch.__version__} can use")
        return 0
    gpu = next(sample for sample in samples if sample.uuid == scope.uuids[0])
    return report(gpu, torch, measure(torch, "cuda", seconds))


def measure(torch: Any, device: str, seconds: float) -> Outcome:
    """Generate on `device` for about `seconds`, after a warm-up in which power settles."""
    torch.manual_seed(0)
    model = _model(torch, device)
    until = time.monotonic() + min(WARM_UP_SECONDS, seconds)
    while time.monotonic() < until:
        generate(torch, model, device)
    _wait(torch, device)
    tokens = 0
    started = time.monotonic()
    with andon.gpu.energy() as energy:
        while time.monotonic() < started + seconds:
            tokens += generate(torch, model, device)
        _wait(torch, device)
        took = time.monotonic() - started
    return Outcome(tokens, took, energy)


def generate(torch: Any, model: dict[str, Any], device: str) -> int:
    """Answer a batch of random prompts greedily, with a cache of keys and values; returns the tokens written."""
    tokens = torch.randint(VOCABULARY, (BATCH, PROMPT_TOKENS), device=device)
    cache: list[tuple[Any, Any]] = []
    with torch.no_grad():
        for _ in range(OUTPUT_TOKENS):
            logits, cache = _forward(torch, model, tokens, cache)
            tokens = logits.argmax(-1, keepdim=True)
            _wait(torch, device)  # as a server does, which hands out each token
    return BATCH * OUTPUT_TOKENS


def report(gpu: Sample, torch: Any, outcome: Outcome) -> int:
    """Print the outcome; returns the exit code."""
    energy = outcome.energy
    print(f"{gpu.name}, driver {gpu.driver_version}, torch {torch.__version__}")
    print(f"{LAYERS} layers of {WIDTH}, batch {BATCH}, {PROMPT_TOKENS} tokens in, {OUTPUT_TOKENS} out")
    print(f"{outcome.tokens} tokens in {outcome.seconds:.1f} s: {outcome.tokens / outcome.seconds:.0f} tokens/s")
    print(f"energy by the counter      {_joules(energy.joules_counter)}")
    print(f"energy by integrated power {_joules(energy.joules_integrated)}")
    if energy.joules is not None:
        print(f"{energy.joules / outcome.tokens:.4f} J/token, {energy.joules / outcome.seconds:.0f} W on average")
    difference = energy.relative_difference
    if difference is None:
        print("difference unknown: this GPU does not tell both")
        return 0
    kept = abs(difference) <= TARGET
    print(f"difference {difference:+.2%}, target within {TARGET:.0%}: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


def _joules(joules: float | None) -> str:
    return "unknown" if joules is None else f"{joules:10.1f} J"


def _model(torch: Any, device: str) -> dict[str, Any]:
    kind = torch.bfloat16 if device == "cuda" else torch.float32

    def weight(rows: int, columns: int) -> Any:
        return (torch.randn(rows, columns) / rows**0.5).to(device, kind)

    return {
        "embedding": weight(VOCABULARY, WIDTH),
        "layers": [
            (weight(WIDTH, 3 * WIDTH), weight(WIDTH, WIDTH), weight(WIDTH, 4 * WIDTH), weight(4 * WIDTH, WIDTH))
            for _ in range(LAYERS)
        ],
        "head": weight(WIDTH, VOCABULARY),
    }


def _forward(
    torch: Any, model: dict[str, Any], tokens: Any, cache: list[tuple[Any, Any]]
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Run the tokens that are new; returns the logits of the last one and the longer cache."""
    functional = torch.nn.functional
    state = model["embedding"][tokens]
    batch, length, _ = state.shape
    causal = torch.full((length, length), float("-inf"), device=state.device, dtype=state.dtype).triu(1)
    longer: list[tuple[Any, Any]] = []
    for number, (mix, out, up, down) in enumerate(model["layers"]):
        query, key, value = (
            part.view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in (functional.layer_norm(state, (WIDTH,)) @ mix).chunk(3, dim=-1)
        )
        if cache:
            key = torch.cat([cache[number][0], key], dim=2)
            value = torch.cat([cache[number][1], value], dim=2)
        longer.append((key, value))
        scores = query @ key.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        if length > 1:
            scores = scores + causal
        seen = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, WIDTH)
        state = state + seen @ out
        state = state + functional.gelu(functional.layer_norm(state, (WIDTH,)) @ up) @ down
    return functional.layer_norm(state[:, -1], (WIDTH,)) @ model["head"], longer


def _wait(torch: Any, device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
