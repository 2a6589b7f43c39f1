"""What a decorated call costs its host: `python -m benchmarks.sdk`."""
