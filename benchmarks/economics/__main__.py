"""`python -m benchmarks.economics NAME`: what the claims about economics rest on, one figure each.

Each name is a module of this folder with a `main(arguments)`.
"""

from __future__ import annotations

import argparse
import importlib
import sys

BENCHMARKS = {
    "tco": "the hybrid cost calculator: seconds of 10 000 draws over 30 days of hours",
}


def main() -> None:
    """Run the benchmark that is named first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.economics", description=__doc__)
    parser.add_argument(
        "name", choices=BENCHMARKS, help="; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items())
    )
    chosen = parser.parse_args(sys.argv[1:2])
    importlib.import_module(f"benchmarks.economics.{chosen.name}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
