"""What a target shows as rows of `metric_points`: kinds, buckets, starts, series; checked against OTLP of the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector.metrics import decode_metrics
from collector.scrape.answer import Format
from tests.collector.exporter import NOW, digested, plain, rows_shown
from tests.metric_rows import whole

VLLM = Path(__file__).parent / "data" / "vllm_0.32.0_metrics.prom"
STARTED = 1_799_999_000 * 10**9
TWICE = "the series is there twice"
NOT_GROWING = "the buckets are no counts that grow from bound to bound"
H = "# TYPE h histogram\n"
UNCOUNTED = 'a histogram without a bucket le="+Inf" and without a count'


def shown(text: str, kind: Format = Format.TEXT) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows by metric and kind; only what is not null or empty."""
    rows, refused = digested(text + ("# EOF\n" if kind is Format.OPENMETRICS else ""), kind)
    assert not refused
    return {(row["metric"], row["kind"]): row for row in rows}


def values(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


HISTOGRAM = """\
# TYPE ttft_seconds histogram
ttft_seconds_bucket{model="m",le="0.1"} 2
ttft_seconds_bucket{model="m",le="1"} 5
ttft_seconds_bucket{model="m",le="+Inf"} 6
ttft_seconds_sum{model="m"} 3.5
ttft_seconds_count{model="m"} 6
"""


def test_a_counter_is_a_cumulative_sum_under_the_name_that_the_target_gives_it() -> None:
    text = "# TYPE tokens_total counter\ntokens_total 7\n"
    openmetrics = "# TYPE tokens counter\ntokens_total 7\n"
    for body, kind in ((text, Format.TEXT), (openmetrics, Format.OPENMETRICS)):
        (row,) = shown(body, kind).values()
        assert values(row, "metric", "kind", "temporality", "monotonic", "value", "int_value", "start_time") == (
            ("tokens_total", "sum", "cumulative", True, 7.0, None, None)
        )


@pytest.mark.parametrize("declared", ["", "# TYPE a gauge\n", "# TYPE a untyped\n", "# TYPE a unknown\n"])
def test_a_gauge_and_what_has_no_type_are_gauges(declared: str) -> None:
    (row,) = shown(declared + "a -2.5\n").values()
    assert values(row, "kind", "temporality", "monotonic", "value") == ("gauge", "", False, -2.5)


def test_infos_and_state_sets_are_gauges() -> None:
    body = '# TYPE build info\nbuild_info{version="1"} 1\n'
    body += '# TYPE state stateset\nstate{state="on"} 1\nstate{state="off"} 0\n'
    rows = rows_shown(body + "# EOF", Format.OPENMETRICS)
    assert [values(row, "metric", "kind", "value", "attributes") for row in rows] == [
        ("build_info", "gauge", 1.0, {"version": "1"}),
        ("state", "gauge", 1.0, {"state": "on"}),
        ("state", "gauge", 0.0, {"state": "off"}),
    ]


def test_a_histogram_is_one_row_and_its_buckets_count_for_themselves() -> None:
    (row,) = shown(HISTOGRAM).values()
    assert values(row, "metric", "kind", "temporality") == ("ttft_seconds", "histogram", "cumulative")
    # 2 up to 0.1, 5 - 2 = 3 more up to 1, 6 - 5 = 1 beyond
    assert values(row, "bucket_bounds", "bucket_counts") == ([0.1, 1.0], [2, 3, 1])
    assert values(row, "count", "sum", "min", "max", "value") == (6, 3.5, None, None, None)
    assert row["attributes"] == {"model": "m"}


def test_the_order_of_buckets_does_not_matter() -> None:
    lines = HISTOGRAM.splitlines()
    (row,) = shown("\n".join([lines[0], *reversed(lines[1:])]) + "\n").values()
    assert values(row, "bucket_bounds", "bucket_counts") == ([0.1, 1.0], [2, 3, 1])


def test_a_histogram_without_its_last_bucket_has_its_count_there() -> None:
    (row,) = shown("\n".join(line for line in HISTOGRAM.splitlines() if "+Inf" not in line) + "\n").values()
    assert values(row, "bucket_counts", "count") == ([2, 3, 1], 6)


def test_a_summary_keeps_its_quantiles() -> None:
    body = '# TYPE d summary\nd{quantile="0.9"} NaN\nd{quantile="0.5"} 2\nd_sum 8\nd_count 4\n'
    (row,) = shown(body).values()
    assert values(row, "metric", "kind", "temporality", "count", "sum") == ("d", "summary", "", 4, 8.0)
    assert row["quantiles"] == [0.5, 0.9]
    assert row["quantile_values"][0] == 2.0
    assert math.isnan(row["quantile_values"][1])


def test_the_buckets_of_a_gauge_histogram_are_no_running_totals() -> None:
    body = '# TYPE q gaugehistogram\nq_bucket{le="1"} 2\nq_bucket{le="+Inf"} 3\nq_gcount 3\nq_gsum 4\n'
    (row,) = shown(body, Format.OPENMETRICS).values()
    assert values(row, "kind", "temporality", "bucket_counts", "sum") == ("histogram", "unspecified", [2, 1], 4.0)


def test_a_histogram_and_a_counter_of_one_name_both_survive() -> None:
    text = "# TYPE ttft_seconds counter\nttft_seconds 9\n" + HISTOGRAM
    openmetrics = HISTOGRAM + "# TYPE ttft_seconds counter\nttft_seconds_total 9\n"
    by_total = HISTOGRAM + "# TYPE ttft_seconds_total counter\nttft_seconds_total 9\n"
    for body, kind, counter in (
        (text, Format.TEXT, "ttft_seconds"),
        (openmetrics, Format.OPENMETRICS, "ttft_seconds_total"),
        (by_total, Format.TEXT, "ttft_seconds_total"),
    ):
        rows = shown(body, kind)
        assert rows[counter, "sum"]["value"] == 9
        assert rows["ttft_seconds", "histogram"]["count"] == 6
        assert len(rows) == 2


def test_a_name_that_ends_like_a_part_of_a_histogram_but_is_declared_is_itself() -> None:
    body = "# TYPE a_count gauge\na_count 3\n# TYPE iteration_tokens_total histogram\n"
    body += 'iteration_tokens_total_bucket{le="+Inf"} 2\niteration_tokens_total_count 2\n'
    assert set(shown(body)) == {("a_count", "gauge"), ("iteration_tokens_total", "histogram")}


def test_created_is_the_start_of_its_series() -> None:
    openmetrics = '# TYPE a counter\na_total{b="c"} 1\na_created{b="c"} 1799999000\n'
    text = '# TYPE a_total counter\na_total{b="c"} 1\n# TYPE a_created gauge\na_created{b="c"} 1.799999e+09\n'
    histogram = HISTOGRAM + '# TYPE ttft_seconds_created gauge\nttft_seconds_created{model="m"} 1799999000\n'
    for body, kind in ((openmetrics, Format.OPENMETRICS), (text, Format.TEXT), (histogram, Format.TEXT)):
        (row,) = shown(body, kind).values()
        assert row["start_time"] == STARTED


def test_two_starts_of_one_name_go_to_the_metric_before_them() -> None:
    body = HISTOGRAM + 'ttft_seconds_created{model="m"} 1799999000\n'
    body += '# TYPE ttft_seconds_total counter\nttft_seconds_total{model="m"} 9\n'
    body += 'ttft_seconds_created{model="m"} 1799999500\n'
    starts = {kind: row["start_time"] for (_, kind), row in shown(body).items()}
    assert starts == {"histogram": STARTED, "sum": STARTED + 500 * 10**9}


def test_created_of_nothing_else_is_a_gauge_of_its_own() -> None:
    (row,) = shown('# TYPE kube_pod_created gauge\nkube_pod_created{pod="a"} 1799999000\n').values()
    assert values(row, "metric", "kind", "value") == ("kube_pod_created", "gauge", 1_799_999_000.0)


@pytest.mark.parametrize("start", ["0", "NaN", "-1", "1e300", str(NOW // 10**9 + 60)])
def test_a_start_that_no_clock_can_have_said_is_unknown(start: str) -> None:
    (row,) = shown(f"# TYPE a counter\na_total 1\na_created {start}\n", Format.OPENMETRICS).values()
    assert values(row, "start_time", "value") == (None, 1.0)


def test_a_time_that_the_target_tells_is_the_time_of_the_point() -> None:
    rows = rows_shown(f"a 1 {STARTED // 10**6}\nb 2\n")
    assert [row["time"] for row in rows] == [STARTED, NOW]


def test_not_a_number_is_unknown_and_infinity_is_not() -> None:
    rows = rows_shown("a NaN\nb +Inf\n")
    assert [values(row, "value", "flags") for row in rows] == [(None, 0), (math.inf, 0)]


def test_exemplars_belong_to_their_row() -> None:
    trace, span = "0123456789abcdef" * 2, "0123456789abcdef"
    body = (
        '# TYPE h histogram\nh_bucket{le="1"} 1 # {trace_id="' + trace + '",span_id="' + span + '"} 0.5 1799999000\n'
        'h_bucket{le="+Inf"} 2 # {trace_id="none"} 7\nh_sum 7.5\nh_count 2\n'
        "# TYPE c counter\nc_total 3 # {} 1\n"
    )
    rows = shown(body, Format.OPENMETRICS)
    row = rows["h", "histogram"]
    assert values(row, "exemplar_values", "exemplar_times") == ([0.5, 7.0], [STARTED, NOW])
    assert row["exemplar_trace_ids"] == [bytes.fromhex(trace), bytes(16)]
    assert row["exemplar_span_ids"] == [bytes.fromhex(span), bytes(8)]
    assert rows["c_total", "sum"]["exemplar_values"] == [1.0]


def test_the_resource_is_job_and_instance_and_the_labels_of_the_target() -> None:
    labels = {"deployment.environment.name": "lab", "region": "eu", "host.name": "gpu-1"}
    (row,) = rows_shown("a 1", labels=labels, accelerator_pool="h100")
    assert values(row, "service", "environment", "accelerator_pool") == ("job", "lab", "h100")
    assert row["resource"] == {"service.instance.id": "gpu-1:8000", "region": "eu", "host.name": "gpu-1"}
    assert row["scope_name"] == "andon.scrape"
    (row,) = rows_shown("a 1", labels={"service.name": "llama", "service.instance.id": "7"})
    assert (row["service"], row["resource"]) == ("llama", {"service.instance.id": "7"})


@pytest.mark.parametrize(
    ("body", "reason", "kept"),
    [
        ("a 1\na 2\n", TWICE, 1),
        ('a{b="1",c="2"} 1\na{c="2",b="1"} 2\n', TWICE, 1),
        (H + 'h_bucket{le="1"} 1\nh_bucket{le="1.0"} 1\nh_bucket{le="+Inf"} 1\n', TWICE, 1),
        (H + "h_bucket 1\nh_count 1\n", "the label le is missing or no number", 1),
        (H + 'h_bucket{le="x"} 1\nh_count 1\n', "the label le is missing or no number", 1),
        ("# TYPE s summary\ns 1\ns_count 1\n", "the label quantile is missing or no number", 1),
        (H + 'h_bucket{le="1"} 1\nh_sum 1\n', UNCOUNTED, 0),
        ("up 1\n", "the series is one that the scraper makes itself", 0),
        (H + 'h_bucket{le="1"} 3\nh_bucket{le="+Inf"} 2\n', NOT_GROWING, 0),
        (H + 'h_bucket{le="1"} 0.5\nh_bucket{le="+Inf"} 2\n', NOT_GROWING, 0),
        (H + 'h_bucket{le="1"} NaN\nh_bucket{le="+Inf"} 2\n', NOT_GROWING, 0),
        (H + 'h_bucket{le="+Inf"} -1\n', NOT_GROWING, 0),
        ("# TYPE s summary\ns_count 1.5\n", "the count is no whole number", 0),
        ("a 1 1000\n", "time is before 2000 or more than a day ahead", 0),
    ],
)
def test_what_cannot_be_stored_is_refused_alone_and_counted(body: str, reason: str, kept: int) -> None:
    rows, refused = digested("good 1\n" + body)
    assert refused == {reason: 1}
    assert len(rows) == kept + 1


def test_one_bad_histogram_leaves_its_neighbours_as_they_are() -> None:
    bad = HISTOGRAM.replace('"m"', '"bad"').replace("} 5", "} 1").splitlines()[1:]
    after = HISTOGRAM.replace('"m"', '"z"').splitlines()[1:]
    rows, refused = digested(HISTOGRAM + "\n".join([*bad, *after]))
    assert refused == {NOT_GROWING: 1}
    assert [values(row, "attributes", "bucket_counts") for row in rows] == [
        ({"model": "m"}, [2, 3, 1]),
        ({"model": "z"}, [2, 3, 1]),
    ]


def test_everything_that_a_real_vllm_shows_is_read() -> None:
    rows, refused = digested(VLLM.read_bytes())
    assert not refused
    by_kind: dict[str, int] = {}
    for row in rows:
        by_kind[row["kind"]] = by_kind.get(row["kind"], 0) + 1
    assert by_kind == {"sum": 39, "histogram": 18, "gauge": 15, "summary": 2}
    assert not [row["metric"] for row in rows if row["metric"].endswith("_created")]
    started = [row for row in rows if row["kind"] in {"sum", "histogram"} and row["metric"].startswith("vllm:")]
    assert all(row["start_time"] for row in started)


def otlp(metrics: list[tuple[str, str, dict[str, str]]]) -> list[dict[str, Any]]:
    """The same points sent over OTLP, decoded."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key, text in {"service.instance.id": "gpu-1:8000", "service.name": "job"}.items():
        resource.resource.attributes.add(key=key).value.string_value = text
    scope = resource.scope_metrics.add()
    scope.scope.name = "andon.scrape"
    for name, kind, attributes in metrics:
        metric = scope.metrics.add(name=name)
        if kind == "gauge":
            point = metric.gauge.data_points.add(as_double=1, time_unix_nano=NOW)
        elif kind == "counter":
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
            point = metric.sum.data_points.add(as_double=1, time_unix_nano=NOW)
        elif kind == "histogram":
            metric.histogram.aggregation_temporality = 2
            point = metric.histogram.data_points.add(count=1, bucket_counts=[1], time_unix_nano=NOW)
        else:
            point = metric.summary.data_points.add(count=1, time_unix_nano=NOW)
        for key, text in attributes.items():
            point.attributes.add(key=key).value.string_value = text
    return plain(whole(decode_metrics(request.SerializeToString(), NOW)))


ATTRIBUTES = st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), st.text("ab é", min_size=1), max_size=3)
KINDS = st.sampled_from(["gauge", "counter", "histogram", "summary"])


@given(
    st.dictionaries(st.from_regex(r"[a-z]{3,6}:[a-z]{1,5}", fullmatch=True), st.tuples(KINDS, ATTRIBUTES), min_size=1)
)
def test_the_same_points_have_the_same_series_and_columns_over_otlp(
    metrics: dict[str, tuple[str, dict[str, str]]],
) -> None:
    lines = []
    suffix = {"histogram": "_count", "summary": "_count"}
    told = [
        (name, kind, {key: text for key, text in labels.items() if key not in {"le", "quantile"}})
        for name, (kind, labels) in metrics.items()
    ]
    for name, kind, labels in told:
        inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
        lines += [f"# TYPE {name} {kind}", f"{name}{suffix.get(kind, '')}{{{inner}}} 1"]
    rows, refused = digested("\n".join(lines))
    assert not refused

    def by_series(found: list[dict[str, Any]]) -> list[str]:
        # An absent sum is null here and 0 there: only a text without a sum knows that there is none.
        return sorted(repr({name: row[name] for name in sorted(row) if name != "sum"}) for row in found)

    assert by_series(rows) == by_series(otlp(told))
