"""`python -m settings` prints `docs/settings.md`, made from the settings themselves, so that it is never stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from settings.model import Settings

_INTRO = """\
# Settings

Everything that can be set, with its default. Andon reads, in rising precedence: these defaults; an `andon.toml`
(`--config`, or `ANDON_CONFIG`, or the one in the working directory); variables; the command line.

A variable is `ANDON_` and the name in capitals, two underscores between the steps: `ANDON_SERVER__PORT=9000` sets
`server.port`. Lists of tables such as `[[pools]]` are set in the file.

```toml
data_dir = "/var/lib/andon"

[[pools]]
name = "rag-h100"
accelerator = "H100-SXM"
count = 8
usd_per_hour = 3.20                      # of ONE accelerator
serves.models = ["llama-3.3-70b"]

[[collector.scrape]]
name = "vllm"
url = "http://127.0.0.1:8000/metrics"
labels = { "deployment.environment.name" = "production" }
accelerator_pool = "rag-h100"

[[drift.monitors]]
name = "prompt-length"
signal = "feature.prompt_length"
pipeline = "support-rag"
window_seconds = 3600

[[checklist.cdc]]
name = "orders"
url = "postgresql://andon@db.internal/orders"   # a role with pg_monitor, nothing more

[checklist.tco]
egress_usd_per_gb = 0.09
egress_bytes_per_output_token = 217
baseline_provider = "openai"
baseline_model = "gpt-5-mini"

[checklist.observability]
expected_pipelines = ["support-rag", "nightly-embeddings"]

[[alerts.channels]]
name = "on-call"
url = "https://hooks.example.org/andon"
secret = "whsec_..."                     # base64 of 24 to 64 random bytes

[retention]
spans = 30                               # whole days, or "forever"

[retention.projects.staging]
spans = 7
```
"""


def document() -> str:
    """The whole page as Markdown."""
    return _INTRO + "".join(_part(Settings, ""))


def _part(model: type[BaseModel], path: str) -> Iterator[str]:
    lines, below = [], []
    for name, field in model.model_fields.items():
        inner = _inner_model(field.annotation)
        if inner is None:
            lines.append(f"| `{name}` | {_default(field)} | {field.description} |\n")
        else:
            below.append((inner, f"{path}{name}{_within(field.annotation)}"))
    if lines:
        yield f"\n## {f'`{path[:-1]}`' if path else 'At the top'}\n\n"
        if path and model.__doc__:
            yield f"{' '.join(model.__doc__.split())}\n\n"
        yield "| setting | default | meaning |\n|---|---|---|\n"
        yield from lines
    for inner, inner_path in below:
        yield from _part(inner, f"{inner_path}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True) if field.default is PydanticUndefined else field.default
    if value is None:
        return "not set"
    if value in ((), {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner_model(part))), None)


def _within(annotation: Any) -> str:
    """How a path goes on below a setting: into each of a list, into a table by its name, or straight on."""
    if get_origin(annotation) is dict:
        return ".NAME"
    return "[]" if get_args(annotation) else ""


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        Path("docs/settings.md").write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())
