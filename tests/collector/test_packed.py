"""Packed observations: the same rows as the row form gives, and nothing that is malformed or out of proportion."""

from __future__ import annotations

import math
import struct
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from andon.packing import pack_booleans, pack_numbers, pack_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector import packed, packed_column
from collector.columns import OBSERVATION_SCHEMA
from collector.decode import Decoded
from collector.observations import decode_logs
from tests.collector.strategies import IDS_8, IDS_16, NOW
from tests.packed_rows import rows_of

AT = "andon.observation."
Attributes = dict[str, Any]


def request(records: Sequence[tuple[str, int, Attributes]], ids: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    """A body of log records: (event name, nanoseconds, attributes)."""
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    logs = resource.scope_logs.add().log_records
    for event, nanos, attributes in records:
        record = logs.add(time_unix_nano=nanos, event_name=event, trace_id=ids[0], span_id=ids[1])
        for key, value in attributes.items():
            kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
            setattr(record.attributes.add(key=key).value, kinds.get(type(value), "bytes_value"), value)
    return message.SerializeToString()


def batch(count: int, **attributes: Any) -> tuple[str, int, Attributes]:
    """One packed record; names are those of features."""
    named = {AT + "feature." + name: value for name, value in attributes.items()}
    return "andon.observations", NOW, {"andon.observations.count": count, **named}


def stored(decoded: Decoded) -> list[tuple[Any, ...]]:
    """The rows in an order that does not depend on the form that they came in."""
    assert decoded.rows.schema == OBSERVATION_SCHEMA
    table = decoded.rows.set_column(0, "time", decoded.rows["time"].cast("int64"))
    rows = [tuple(sorted(v) if isinstance(v, list) else v for v in row.values()) for row in table.to_pylist()]
    return sorted(rows, key=repr)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
names = st.sampled_from(
    ["feature.a", "feature.ö", "feature.", "prediction", "score", "label", "segment.s", "segment.t"]
)


@st.composite
def batches(draw: st.DrawFn) -> Attributes:
    count = draw(st.integers(1, 6))
    same = st.lists(st.floats(allow_nan=False) | st.none(), min_size=count, max_size=count)
    columns = draw(st.dictionaries(names, st.lists(values, min_size=count, max_size=count) | same, min_size=1))
    columns.setdefault("feature.always", [1.0] * count)
    constants = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "andon.pipeline": st.just("rag"),
                "gen_ai.request.model": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
                AT + "segment.country": st.just("SE"),
                AT + "weight": st.floats(1, 1e6),
            },
        )
    )
    packed_columns = {AT + name: pack_values(AT + name, column) for name, column in columns.items()}
    return {"andon.observations.count": count, **constants, **packed_columns}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(batches(), min_size=1, max_size=3), st.tuples(IDS_16, IDS_8))
def test_the_packed_form_and_the_row_form_give_the_same_rows(
    records: list[Attributes], ids: tuple[bytes, bytes]
) -> None:
    together = [("andon.observations", NOW + 1000 * place, record) for place, record in enumerate(records)]
    apart = [
        ("andon.observation", nanos + place, row)
        for _, nanos, record in together
        for place, row in enumerate(rows_of(record))
    ]
    ours, theirs = decode_logs(request(together, ids), NOW), decode_logs(request(apart, ids), NOW)
    assert ours.refused == theirs.refused == {}
    assert stored(ours) == stored(theirs)


def test_a_batch_is_unfolded_to_one_row_a_value_with_its_weight_and_a_time_of_its_own() -> None:
    record = batch(3, x=pack_numbers([1.5, math.nan, 2.0]), yes=pack_booleans(b"\2\0\1"))
    record[2][AT + "weight"] = 4.0
    decoded = decode_logs(request([record]), NOW)
    found = [
        (row["time"], row["signal"], row["number"], row["text"], row["weight"], row["service"])
        for row in decoded.rows.set_column(0, "time", decoded.rows["time"].cast("int64")).to_pylist()
    ]
    assert found == [
        (NOW, "feature.x", 1.5, None, 4.0, "shop"),
        (NOW + 2, "feature.x", 2.0, None, 4.0, "shop"),
        (NOW, "feature.yes", None, "true", 4.0, "shop"),
        (NOW + 2, "feature.yes", None, "false", 4.0, "shop"),
    ]


def dictionary(width: int, numbers: int, texts: int, rest: bytes) -> bytes:
    return struct.pack("<BBII", 2, width, numbers, texts) + rest


@pytest.mark.parametrize(
    ("count", "column", "reason"),
    [
        (2, pack_numbers([1.0]), packed_column.BAD_LENGTH),
        (1, pack_numbers([1.0])[:-1], packed_column.BAD_LENGTH),
        (1, pack_numbers([1.0]) + b"\0", packed_column.BAD_LENGTH),
        (3, pack_booleans(b"\1\2"), packed_column.BAD_LENGTH),
        (1, b"\2\1", packed_column.BAD_LENGTH),
        (1, dictionary(1, 2**32 - 1, 2**32 - 1, b"\0"), packed_column.BAD_LENGTH),
        (1, dictionary(1, 0, 1, struct.pack("<I", 2**32 - 1) + b"a\3"), packed_column.BAD_LENGTH),
        (1, dictionary(1, 0, 1, struct.pack("<I", 0) + b"a\3"), packed_column.BAD_LENGTH),
        (1, b"", packed_column.BAD_ENCODING),
        (1, b"\0", packed_column.BAD_ENCODING),
        (1, b"\3" + bytes(8), packed_column.BAD_ENCODING),
        (1, dictionary(3, 0, 0, b"\0\0\0"), packed_column.BAD_ENCODING),
        (1, pack_booleans(b"\3"), packed_column.BAD_INDEX),
        (1, dictionary(1, 0, 1, struct.pack("<I", 2) + b"\xff\xfe\3"), packed_column.BAD_TEXT),
        (1, dictionary(1, 0, 2, struct.pack("<II", 1, 1) + "ö".encode() + b"\3"), packed_column.BAD_TEXT),
        (0, pack_booleans(b""), packed.BAD_COUNT),
        (-1, pack_booleans(b"\1"), packed.BAD_COUNT),
        (10**12, pack_booleans(b"\1"), packed.BAD_COUNT),
        (2**63 - 1, pack_numbers([1.0]), packed.BAD_COUNT),
        (1.0, pack_numbers([1.0]), packed.BAD_COUNT),
        ("1", pack_numbers([1.0]), packed.BAD_COUNT),
        (1, 5.0, packed.NOT_PACKED),
    ],
)
def test_a_malformed_record_is_refused_alone_and_counted_by_its_reason(count: Any, column: Any, reason: str) -> None:
    decoded = decode_logs(request([batch(count, x=column), batch(1, good=pack_numbers([1.0]))]), NOW)
    assert decoded.refused == {reason: 1}
    assert decoded.rows["signal"].to_pylist() == ["feature.good"]


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf, "2"])
@pytest.mark.parametrize("event", ["andon.observation", "andon.observations"])
def test_a_weight_that_cannot_be_refuses_its_record(event: str, weight: object) -> None:
    value: Any = 1.0 if event == "andon.observation" else pack_numbers([1.0])
    attributes = {"andon.observations.count": 1, AT + "score": value, AT + "weight": weight}
    decoded = decode_logs(request([(event, NOW, attributes)]), NOW)
    assert decoded.refused == {"andon.observation.weight is not a positive number": 1}
    assert decoded.rows.num_rows == 0


def test_a_row_without_a_packed_column_costs_its_sender_nothing_and_is_refused() -> None:
    record = ("andon.observations", NOW, {"andon.observations.count": 1_000_000, AT + "segment.a": "x"})
    assert decode_logs(request([record]), NOW).refused == {packed.NO_COLUMN: 1}


def test_the_values_of_one_request_are_limited() -> None:
    column = pack_booleans(b"\1" * 400_000)
    decoded = decode_logs(request([batch(400_000, x=column)] * 3), NOW)
    assert decoded.refused == {packed.TOO_MUCH: 1}
    assert decoded.rows.num_rows == 800_000


def test_the_columns_of_one_request_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_COLUMNS", 3)
    one = batch(1, x=pack_numbers([1.0]), y=pack_numbers([2.0]))
    decoded = decode_logs(request([one, one, one]), NOW)
    assert decoded.refused == {packed.TOO_MANY_COLUMNS: 2}
    assert decoded.rows.num_rows == 2


def repeated_text() -> tuple[str, int, Attributes]:
    text = b"t" * 50_000
    return batch(50_000, x=dictionary(1, 0, 1, struct.pack("<I", len(text)) + text + b"\3" * 50_000))


def repeated_segment() -> tuple[str, int, Attributes]:
    record = batch(50_000, x=pack_booleans(b"\1" * 50_000))
    record[2][AT + "segment.long"] = "t" * 50_000
    return record


def many_segments() -> tuple[str, int, Attributes]:
    signals = {f"f{n}": pack_booleans(b"\1" * 1000) for n in range(100)}
    record = batch(1000, **signals)
    record[2].update({f"{AT}segment.{n}": pack_booleans(b"\1" * 1000) for n in range(1000)})
    return record


@pytest.mark.parametrize("record", [repeated_text, repeated_segment, many_segments])
def test_what_would_unfold_out_of_proportion_is_refused_before_anything_is_allocated(record: Any) -> None:
    body = request([record()])
    decode_logs(request([batch(1, x=pack_numbers([1.0]))]), NOW)
    tracemalloc.start()
    decoded = decode_logs(body, NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(decoded.refused) <= {packed.TOO_DENSE, packed.TOO_MUCH}
    assert decoded.rejected == 1
    assert peak < 40 * len(body)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(-1, 40))
def test_no_bytes_whatever_make_more_values_than_they_are(content: bytes, count: int) -> None:
    decoded = decode_logs(request([batch(count, x=content)]), NOW)
    assert decoded.rows.num_rows <= len(content)
    assert decoded.rows.num_rows <= max(count, 0)
