"""Requests as any sender might make them: every kind of value, odd keys, many resources, nothing at all."""

from __future__ import annotations

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from collector.columns import OPERATION_OF_KIND, RESOURCE_ATTRIBUTES, SPAN_ATTRIBUTES

NOW = 1_800_000_000 * 10**9

KNOWN_KEYS = [
    *OPERATION_OF_KIND,
    *(key for column in (*SPAN_ATTRIBUTES, *RESOURCE_ATTRIBUTES) for key in column.spellings),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        "12",
        "007",
        "1e3",
        "-4",
        "chat",
        "invoke_agent",
        "LLM",
        "CHAIN",
        "completion",
        "\u202egpt\x00",
        "__proto__",
        "<img onerror=x>",
    ]
)
KEYS = st.sampled_from(KNOWN_KEYS) | TEXTS


def any_values() -> st.SearchStrategy[AnyValue]:
    scalars = st.one_of(
        st.just(AnyValue()),
        TEXTS.map(lambda v: AnyValue(string_value=v)),
        st.booleans().map(lambda v: AnyValue(bool_value=v)),
        st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v)),
        st.integers(0, 5000).map(lambda v: AnyValue(int_value=v)),
        st.floats().map(lambda v: AnyValue(double_value=v)),
        st.integers(-10, 5000).map(lambda v: AnyValue(double_value=float(v))),
        st.binary(max_size=6).map(lambda v: AnyValue(bytes_value=v)),
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda v: AnyValue(array_value=ArrayValue(values=v)))
            | st.dictionaries(TEXTS, inner, max_size=3).map(
                lambda v: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=x) for k, x in v.items()]))
            )
        ),
        max_leaves=5,
    )


def attributes() -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(st.builds(lambda k, v: KeyValue(key=k, value=v), KEYS, any_values()), max_size=6)


TIMES = st.integers(NOW - 10**18 // 2, NOW)
IDS_16 = st.binary(min_size=16, max_size=16).filter(any)
IDS_8 = st.binary(min_size=8, max_size=8).filter(any)


def spans() -> st.SearchStrategy[Span]:
    return st.builds(
        Span,
        trace_id=IDS_16,
        span_id=IDS_8,
        parent_span_id=st.just(b"") | IDS_8,
        trace_state=TEXTS,
        flags=st.integers(0, 2**32 - 1),
        name=TEXTS,
        kind=st.integers(0, 9),
        start_time_unix_nano=TIMES,
        end_time_unix_nano=TIMES,
        attributes=attributes(),
        events=st.lists(
            st.builds(Span.Event, time_unix_nano=TIMES, name=TEXTS, attributes=attributes()),
            max_size=2,
        ),
        links=st.lists(
            st.builds(
                Span.Link, trace_id=st.binary(max_size=17), span_id=st.binary(max_size=9), attributes=attributes()
            ),
            max_size=2,
        ),
        status=st.none() | st.builds(Status, message=TEXTS, code=st.integers(0, 3)),
    )


def requests() -> st.SearchStrategy[ExportTraceServiceRequest]:
    scopes = st.none() | st.builds(InstrumentationScope, name=TEXTS, version=TEXTS)
    scope_spans = st.builds(ScopeSpans, scope=scopes, spans=st.lists(spans(), max_size=3))
    resources = st.none() | st.builds(Resource, attributes=attributes())
    resource_spans = st.builds(ResourceSpans, resource=resources, scope_spans=st.lists(scope_spans, max_size=2))
    return st.builds(ExportTraceServiceRequest, resource_spans=st.lists(resource_spans, max_size=3))
