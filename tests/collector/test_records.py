"""Log records that are no observations: each is one row, as the official classes read it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.columns import LOG_SCHEMA, RESOURCE_ATTRIBUTES
from collector.observations import decode_logs
from tests.collector.reference import exactly, pairs, text, typed_and_rest
from tests.collector.strategies import NOW, TEXTS, TIMES, any_values, attributes

MAYBE_TIMES = st.just(0) | TIMES


def requests() -> st.SearchStrategy[ExportLogsServiceRequest]:
    record = st.builds(
        LogRecord,
        time_unix_nano=MAYBE_TIMES,
        observed_time_unix_nano=MAYBE_TIMES,
        severity_number=st.integers(0, 24) | st.integers(-(2**31), 2**31 - 1),
        severity_text=TEXTS,
        event_name=TEXTS,
        body=st.none() | any_values(),
        attributes=attributes(),
        flags=st.integers(0, 2**32 - 1),
        trace_id=st.binary(max_size=17) | st.just(b"t" * 16),
        span_id=st.binary(max_size=9),
    )
    scopes = st.none() | st.builds(InstrumentationScope, name=TEXTS, version=TEXTS)
    scope_logs = st.builds(ScopeLogs, scope=scopes, log_records=st.lists(record, max_size=3))
    resources = st.none() | st.builds(Resource, attributes=attributes())
    resource_logs = st.builds(ResourceLogs, resource=resources, scope_logs=st.lists(scope_logs, max_size=2))
    return st.builds(ExportLogsServiceRequest, resource_logs=st.lists(resource_logs, max_size=3))


def records_of(body: bytes) -> list[dict[str, Any]]:
    rows = []
    for resource_logs in ExportLogsServiceRequest.FromString(body).resource_logs:
        typed, rest = typed_and_rest(resource_logs.resource.attributes, RESOURCE_ATTRIBUTES)
        for scope_logs in resource_logs.scope_logs:
            rows += [
                {
                    "time": record.time_unix_nano or record.observed_time_unix_nano or NOW,
                    "observed_time": record.observed_time_unix_nano or None,
                    "severity_number": record.severity_number if 0 <= record.severity_number <= 255 else 0,
                    "severity_text": record.severity_text,
                    "event_name": record.event_name,
                    "body": text(record.body),
                    **typed,
                    "scope_name": scope_logs.scope.name,
                    "scope_version": scope_logs.scope.version,
                    "trace_id": exactly(record.trace_id, 16),
                    "span_id": exactly(record.span_id, 8),
                    "flags": record.flags,
                    "attributes": pairs(record.attributes),
                    "resource": rest,
                }
                for record in scope_logs.log_records
            ]
    return rows


def stored(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with times as integer nanoseconds, so that nothing is rounded before it is compared."""
    for name in ("time", "observed_time"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    return table.to_pylist()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(requests())
def test_the_decoder_agrees_with_a_plain_reading_of_the_same_bytes(request: ExportLogsServiceRequest) -> None:
    body = request.SerializeToString()
    decoded = decode_logs(body, NOW)
    expected = records_of(body)
    assert (decoded.rows.num_rows, decoded.refused) == (0, {})
    logs = decoded.beside.get("logs", LOG_SCHEMA.empty_table())
    assert logs.schema == LOG_SCHEMA
    assert stored(logs) == expected
