"""A history to ask questions of: GenAI spans of 16 attributes in traces of eight, spread evenly over whole days.

They are made inside the engine, so that the benchmark spends its time on questions. A trace is a run of a pipeline, a
retrieval, four calls of models and two tools; one call in fifty fails.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from store.telemetry import TelemetryStore

SPANS_PER_TRACE = 8
AT_ONCE = 1_000_000

_SPANS = """
INSERT INTO spans
    (project, trace_id, span_id, parent_span_id, start_time, end_time, name, kind, status_code, service, environment,
     pipeline, stage, run_id, operation, provider, request_model, response_model, response_id, conversation_id,
     input_tokens, cache_read_tokens, output_tokens, time_to_first_token_seconds, finish_reason, error_type,
     usage_role, scope_name, attributes, resource, ingested_at)
WITH
    number AS n, intDiv(n, 8) AS trace, n % 8 AS place, place >= 2 AND place < 6 AS calls,
    reinterpret(trace + 1, 'FixedString(8)') AS id, cityHash64(n) AS dice, cityHash64(trace, 'pipeline') AS shape,
    toDateTime64(:start, 9, 'UTC') + toIntervalNanosecond(toInt64(trace * :spacing)) AS began,
    began + toIntervalMillisecond(if(place = 0, 9000, place * 1000 + dice % 900)) AS ended,
    concat('pipeline-', toString(shape % 20)) AS of_pipeline,
    concat('model-', toString((shape + place) % 12)) AS of_model
SELECT
    'default', concat(id, 'question'), reinterpret(n + 1, 'FixedString(8)'),
    if(place = 0, reinterpret(toUInt64(0), 'FixedString(8)'), reinterpret(trace * 8 + 1, 'FixedString(8)')),
    if(place = 0, began, ended - toIntervalMillisecond(200 + dice % 700)), ended,
    multiIf(place = 0, of_pipeline, calls, concat('chat ', of_model), place = 1, 'retrieve', 'execute_tool search'),
    if(calls, 3, 1), if(calls AND dice % 50 = 0, 2, 0), concat('service-', toString(shape % 8)), 'production',
    of_pipeline, if(place = 0, '', concat('stage-', toString(place))), lower(hex(concat(id, 'question'))),
    multiIf(calls, 'chat', place = 1, 'retrieval', place = 0, '', 'execute_tool'),
    if(calls, 'openai', ''), if(calls, of_model, ''), if(calls, of_model, ''),
    if(calls, concat('resp_', toString(n)), ''), concat('conv_', toString(intDiv(trace, 4))),
    if(calls, toNullable(toInt64(400 + dice % 1500)), NULL), if(calls, toNullable(toInt64(dice % 300)), NULL),
    if(calls, toNullable(toInt64(20 + dice % 400)), NULL), if(calls, toNullable(0.05 + (dice % 400) / 1000), NULL),
    if(calls, 'stop', ''), if(calls AND dice % 50 = 0, 'timeout', ''), if(calls, 'leaf', 'none'), 'benchmark',
    map('server.address', concat('host-', toString(dice % 64)), 'server.port', '443',
        'gen_ai.request.temperature', toString((dice % 10) / 10), 'gen_ai.request.stream', 'true',
        'user.id', concat('user-', toString(cityHash64(intDiv(trace, 4)) % 50000)),
        'tenant', concat('tenant-', toString(shape % 40))),
    map('service.name', concat('service-', toString(shape % 8)), 'host.name', concat('node-', toString(shape % 16))),
    ended + toIntervalSecond(1)
FROM numbers(:first, :count)
"""


def make_spans(store: TelemetryStore, start: datetime, end: datetime, spans: int) -> None:
    """Insert `spans` spans whose traces begin evenly spaced in [start, end)."""
    traces = spans // SPANS_PER_TRACE
    spacing = int((end - start) / timedelta(microseconds=1) * 1000 / traces)
    # Partitions are days: a block of many days would become as many small parts.
    for first in range(0, spans, AT_ONCE):
        store.execute(
            f"{_SPANS} SETTINGS max_partitions_per_insert_block = 0",
            start=start.strftime("%Y-%m-%d %H:%M:%S"),
            spacing=spacing,
            first=first,
            count=min(AT_ONCE, spans - first),
        )


def trace_id(trace: int) -> str:
    """The id of one of the traces, in hex."""
    return ((trace + 1).to_bytes(8, "little") + b"question").hex()
