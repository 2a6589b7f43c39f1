"""Makes the fixtures of the checklist's tests known to pytest."""

from captured_source import make_context, source, telemetry_context  # noqa: F401
