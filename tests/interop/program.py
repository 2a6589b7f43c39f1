"""A program as a user would write it: decorated functions that call OpenAI's client, instrumented by one family.

Run by the interpreter of that family's environment: `program.py FAMILY ORDER COLLECTOR OPENAI [PARTS]`. ORDER says who
comes first: `andon`, `family`, or `alone`, where Andon is not started and the family exports by itself. Nothing but the
family, OpenAI's client, OpenTelemetry and the SDK is imported.
"""

from __future__ import annotations

import sys
from typing import Any

import andon
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

FAMILY, ORDER, COLLECTOR, OPENAI = sys.argv[1:5]
PARTS = sys.argv[5:] or ["chat", "stream", "embed"]

CHAT_MODEL = "gpt-4o-mini"
EMBEDDING_MODEL = "text-embedding-3-small"
QUESTION = "where is order 4711"


def own_export() -> SimpleSpanProcessor:
    return SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{COLLECTOR}/v1/traces"))


def start_andon() -> None:
    andon.init(service="shop", endpoint=COLLECTOR)


def start_family() -> None:
    """As the family's own documentation says."""
    alone = ORDER == "alone"
    if FAMILY == "logfire":
        import logfire

        logfire.configure(send_to_logfire=False, console=False, service_name="shop")
        logfire.instrument_openai()
        if alone:
            logfire.DEFAULT_LOGFIRE_INSTANCE.config.get_tracer_provider().add_span_processor(own_export())
        return
    if ORDER != "andon":
        provider = TracerProvider()
        if alone:
            provider.add_span_processor(own_export())
        trace.set_tracer_provider(provider)
    if FAMILY == "openlit":
        import openlit

        # Its exporter goes nowhere: what arrives has come through Andon.
        openlit.init(otlp_endpoint="http://127.0.0.1:9", disable_metrics=True, disable_events=True)
    elif FAMILY == "traceloop":
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from traceloop.sdk import Traceloop
        from traceloop.sdk.instruments import Instruments

        Traceloop.init(
            telemetry_enabled=False,
            disable_batch=True,
            exporter=InMemorySpanExporter(),
            instruments={Instruments.OPENAI},
        )
    else:
        turned_on = andon.activate()
        assert turned_on == ["openai"], turned_on


def run() -> None:
    import openai

    client = openai.OpenAI(base_url=OPENAI, api_key="none")

    def record(usage: Any, **names: str) -> None:
        details = getattr(usage, "prompt_tokens_details", None)
        andon.record_tokens(
            input=usage.prompt_tokens,
            output=getattr(usage, "completion_tokens", None),
            cache_read=details.cached_tokens if details is not None else None,
            provider="openai",
            **names,
        )

    @andon.stage
    def twice() -> None:
        for _ in range(2):
            answer = client.chat.completions.create(model=CHAT_MODEL, messages=[{"role": "user", "content": QUESTION}])
            record(answer.usage, model=CHAT_MODEL)

    @andon.stage
    def both() -> None:
        chat.__wrapped__()
        embed.__wrapped__()

    @andon.stage
    def chat() -> None:
        answer = client.chat.completions.create(model=CHAT_MODEL, messages=[{"role": "user", "content": QUESTION}])
        record(answer.usage, model=CHAT_MODEL)

    @andon.stage
    def stream() -> Any:
        chunks = client.chat.completions.create(
            model=CHAT_MODEL,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in chunks:
            if chunk.usage is not None:
                record(chunk.usage, model=CHAT_MODEL)
            yield chunk

    @andon.stage
    def embed() -> None:
        found = client.embeddings.create(model=EMBEDDING_MODEL, input=QUESTION)
        record(found.usage, model=EMBEDDING_MODEL, operation="embeddings")

    @andon.stage
    def chat_returned() -> Any:
        return client.chat.completions.create(model=CHAT_MODEL, messages=[{"role": "user", "content": QUESTION}])

    @andon.stage
    def stream_returned() -> Any:
        return client.chat.completions.create(
            model=CHAT_MODEL,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )

    @andon.stage
    def embed_returned() -> Any:
        return client.embeddings.create(model=EMBEDDING_MODEL, input=QUESTION)

    @andon.pipeline("support-rag")
    def reply() -> None:
        for part in PARTS:
            if part == "chat":
                chat()
            elif part == "stream":
                for _ in stream():
                    pass
            elif part == "embed":
                embed()
            elif part == "returned":
                chat_returned()
                for _ in stream_returned():
                    pass
                embed_returned()
            elif part == "twice":
                twice()
            elif part == "both":
                both()

    reply()


def main() -> None:
    starts = {"andon": (start_andon, start_family), "family": (start_family, start_andon), "alone": (start_family,)}
    for start in starts[ORDER]:
        start()
    if FAMILY == "logfire" and ORDER != "alone":
        # Its spans come to Andon once, however often this is called and whoever came first.
        assert andon.activate() == andon.activate() == ["openai"]
    run()
    andon.shutdown()
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flush()


main()
