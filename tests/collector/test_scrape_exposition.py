"""How the two text formats are read: lines, labels, escapes, numbers, times; and what of a bad line is counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.answer import Format, ScrapeError
from collector.scrape.exposition import Exemplar, Limits, Reader
from collector.scrape.labels import Series


def samples(text: str, kind: Format = Format.TEXT) -> list[tuple[str, dict[str, str], float]]:
    reader = Reader()
    read = reader.read(text.encode(), kind)
    assert not read.refused
    series = [reader.series[key] for key in read.keys]
    return [(one.name, dict(one.labels), value) for one, value in zip(series, read.values.tolist(), strict=True)]


def refused(text: str | bytes, kind: Format = Format.TEXT, limits: Limits | None = None) -> tuple[dict[str, int], int]:
    """What is refused of a text that also holds one good line, and how many samples remain."""
    body = text if isinstance(text, bytes) else text.encode()
    read = Reader(limits or Limits()).read(
        b"good 1\n" + body + (b"\n# EOF" if kind is Format.OPENMETRICS else b""), kind
    )
    return dict(read.refused), len(read.keys)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1", ("a", {}, 1.0)),
        ("vllm:tokens_total{} 2.5e3", ("vllm:tokens_total", {}, 2500.0)),
        ('a{b="c"} +Inf', ("a", {"b": "c"}, math.inf)),
        ('a{b="c",d="e",} -Inf', ("a", {"b": "c", "d": "e"}, -math.inf)),
        ('\ta\t{ b = "c" , d="e" }\t3', ("a", {"b": "c", "d": "e"}, 3.0)),
        (r'a{b="1\\2\"3\n4\5"} 1', ("a", {"b": '1\\2"3\n4\\5'}, 1.0)),
        ('a{b="} # {,=\\""} 1', ("a", {"b": '} # {,="'}, 1.0)),
        ('a{b=""} 1', ("a", {}, 1.0)),
        ('a{b="Ω 日本"} 1', ("a", {"b": "Ω 日本"}, 1.0)),
        ('{"http.requests",method="GET"} 4', ("http.requests", {"method": "GET"}, 4.0)),
        ('{"http.requests"} 4', ("http.requests", {}, 4.0)),
        ('a{"net.peer"="x"} 4', ("a", {"net.peer": "x"}, 4.0)),
    ],
)
def test_a_sample_is_name_labels_and_value(line: str, expected: tuple[str, dict[str, str], float]) -> None:
    assert samples(line) == [expected]


def test_a_carriage_return_belongs_to_the_end_of_the_line() -> None:
    assert samples('# TYPE a gauge\r\na{b="c"} 1\r\n') == [("a", {"b": "c"}, 1.0)]


def test_not_a_number_is_a_value() -> None:
    ((_, _, value),) = samples("a NaN")
    assert math.isnan(value)


def test_a_time_is_milliseconds_in_text_and_seconds_in_openmetrics() -> None:
    text = Reader().read(b"a 1 1800000000123\nb 2", Format.TEXT)
    assert text.nanos is not None
    assert text.nanos.tolist() == [1_800_000_000_123_000_000, 0]
    openmetrics = Reader().read(b"a 1 1800000000.5\nb 2\n# EOF", Format.OPENMETRICS)
    assert openmetrics.nanos is not None
    assert openmetrics.nanos.tolist() == [1_800_000_000_500_000_000, 0]
    assert Reader().read(b"b 2", Format.TEXT).nanos is None


def test_an_exemplar_keeps_its_labels_value_and_time() -> None:
    body = b'a_bucket{le="1"} 3 # {trace_id="ab}\\"c"} 0.5 1800000000.25\na_bucket{le="2"} 4 # {} 1.5\n# EOF'
    read = Reader().read(body, Format.OPENMETRICS)
    assert read.values.tolist() == [3, 4]
    assert read.exemplars == (
        Exemplar(0, {"trace_id": 'ab}"c'}, 0.5, 1_800_000_000_250_000_000),
        Exemplar(1, {}, 1.5, 0),
    )


def test_types_and_units_stand_by_family_and_one_name_may_have_two_types() -> None:
    body = "# HELP a Help \\n more\n# TYPE a counter\n# TYPE a histogram\n# UNIT a seconds\n# a comment\n#\na_total 1\n"
    read = Reader().read((body + "# EOF\n").encode(), Format.OPENMETRICS)
    assert read.types == {"a": ("counter", "histogram")}
    assert read.units == {"a": "seconds"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a", "the line is not name, labels and value"),
        ('a{b="c" 1', "the line is not name, labels and value"),
        ("1a 1", "the line is not name, labels and value"),
        ("<html>", "the line is not name, labels and value"),
        ("a 1 2 3", "the line is not name, labels and value"),
        ("a{b=c} 1", "the labels are malformed"),
        ('a{b="c"d="e"} 1', "the labels are malformed"),
        ('a{,b="c"} 1', "the labels are malformed"),
        ('a{b="c",b="d"} 1', "a label is there twice"),
        ('a{"b","c"} 1', "a label is there twice"),
        ('a{"b"} 1', "the name is there twice"),
        ('{b="c"} 1', "there is no name"),
        ("a one", "the value or time is not a number"),
        ("a 1_000", "the value or time is not a number"),
        ("a ١", "the value or time is not a number"),
        ("a 1 1e99", "the value or time is not a number"),
        ("# TYPE a counters", "the type is unknown"),
        (b'a{b="\xff"} 1', "the line is not UTF-8"),
    ],
)
def test_a_bad_line_is_counted_and_the_rest_is_kept(line: str | bytes, reason: str) -> None:
    assert refused(line) == ({reason: 1}, 1)


def test_a_bad_exemplar_costs_the_exemplar_alone() -> None:
    assert refused('a 1 # {b="c"} none', Format.OPENMETRICS) == ({"the exemplar is malformed": 1}, 2)


def test_what_stands_after_the_end_is_counted() -> None:
    assert refused("# EOF\na 1\nb 1", Format.OPENMETRICS) == ({"the line is after # EOF": 3}, 1)


def test_openmetrics_that_does_not_end_was_cut_short() -> None:
    with pytest.raises(ScrapeError) as failed:
        Reader().read(b"a 1\n", Format.OPENMETRICS)
    assert failed.value.reason == "cut_short"


def test_a_page_in_which_no_line_can_be_read_is_a_failure() -> None:
    with pytest.raises(ScrapeError, match="no line of the answer can be read") as failed:
        Reader().read(b"<html>\n<p>welcome</p>", Format.TEXT)
    assert failed.value.reason == "unreadable"


def test_limits_of_labels_hold_for_a_line_and_limits_of_series_for_the_scrape() -> None:
    limits = Limits(max_series=2, max_labels=1, max_label_bytes=10)
    assert refused('a{b="c",d="e"} 1', limits=limits) == ({"more labels than max_labels": 1}, 1)
    long = {"a name or label value is longer than max_label_bytes": 1}
    assert refused('a{b="' + 11 * "x" + '"} 1', limits=limits) == (long, 1)
    assert refused('a{b="' + 10 * "x" + '"} 1', limits=limits) == ({}, 2)
    for many in ("a 1\nb 1", "good 1\ngood 1"):
        with pytest.raises(ScrapeError, match="max_series = 2") as failed:
            refused(many, limits=limits)
        assert failed.value.reason == "too_many_series"


def test_more_lines_than_an_exposition_needs_are_not_even_read() -> None:
    with pytest.raises(ScrapeError) as failed:
        refused("\n" * 1100, limits=Limits(max_series=10))
    assert failed.value.reason == "too_many_lines"


def test_names_are_kept_and_ignored_by_their_beginnings_in_every_scrape() -> None:
    reader = Reader(Limits(only=("vllm:", "DCGM_"), ignore=("vllm:cache_",)))
    for _ in range(2):
        read = reader.read(b'vllm:a 1\nvllm:cache_config 1\npython_info 1\nDCGM_FI{gpu="0"} 2', Format.TEXT)
        assert read.keys == ["vllm:a", 'DCGM_FI{gpu="0"}']
        assert not read.refused


def test_a_reader_forgets_series_that_are_no_longer_shown() -> None:
    reader = Reader()
    for generation in range(4):
        lines = [f'a{{pod="{generation}-{number}"}} 1' for number in range(1000)]
        reader.read("\n".join(lines).encode(), Format.TEXT)
    assert len(reader.series) <= 3 * 1000


def test_a_reader_also_forgets_what_it_read_of_scrapes_that_failed() -> None:
    reader = Reader(Limits(max_series=1000))
    for generation in range(8):
        lines = [f'a{{pod="{generation}-{number}"}} 1' for number in range(1100)]
        with pytest.raises(ScrapeError):
            reader.read("\n".join(lines).encode(), Format.TEXT)
    assert len(reader.series) <= 4 * 1000


def test_a_known_name_with_known_labels_needs_no_second_look_and_means_the_same() -> None:
    body = b'a{x="1"} 1\nb{x="1"} 2\na{x="2",} 3\nb{x="2",} 4\nb{x="1"} 5 # {x="1"} 6\n# EOF'
    reader = Reader()
    read = reader.read(body, Format.OPENMETRICS)
    assert [reader.series[key] for key in read.keys] == [
        Series("a", (("x", "1"),)),
        Series("b", (("x", "1"),)),
        Series("a", (("x", "2"),)),
        Series("b", (("x", "2"),)),
        Series("b", (("x", "1"),)),
    ]
    assert (read.values.tolist(), len(read.exemplars)) == ([1, 2, 3, 4, 5], 1)


@pytest.mark.parametrize(
    "hostile", ["{" * 100_000, '{"' * 50_000, 'a{b="' + "\\" * 99_999, "a" + " " * 99_999, "\0" * 9]
)
def test_hostile_text_is_one_bad_line(hostile: str) -> None:
    found, kept = refused(hostile)
    assert (sum(found.values()), kept) == (1, 1)


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    max_size=4,
)
VALUES = st.floats(allow_nan=False)
TIMES = st.none() | st.integers(1, 4_000_000_000_000)
SAMPLES = st.lists(st.tuples(NAMES, LABELS, VALUES, TIMES), min_size=1, max_size=12)


def written(name: str, labels: dict[str, str], value: float, time: str) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inner = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    return f"{name}{'{' + inner + '}' if labels else ''} {value!r}{time}"


@given(SAMPLES, st.sampled_from(Format))
def test_what_is_written_in_either_format_is_read_back(
    given_samples: list[tuple[str, dict[str, str], float, int | None]], kind: Format
) -> None:
    lines = []
    for name, labels, value, millis in given_samples:
        time = "" if millis is None else f" {millis}" if kind is Format.TEXT else f" {millis / 1000!r}"
        lines.append(written(name, labels, value, time))
    reader = Reader()
    for _ in range(2):
        read = reader.read(("\n".join(lines) + "\n# EOF\n").encode(), kind)
        assert not read.refused
        assert [reader.series[key] for key in read.keys] == [
            Series(name, tuple(sorted(labels.items()))) for name, labels, _, _ in given_samples
        ]
        assert read.values.tolist() == [value for _, _, value, _ in given_samples]
        nanos = [0] * len(read.keys) if read.nanos is None else read.nanos.tolist()
        for found, (*_, millis) in zip(nanos, given_samples, strict=True):
            assert found == (millis or 0) * 10**6


@given(st.binary(max_size=300), st.sampled_from(Format))
def test_no_bytes_make_the_reader_fall(body: bytes, kind: Format) -> None:
    try:
        read = Reader().read(b"good 1\n" + body + b"\n# EOF", kind)
    except ScrapeError:
        return
    assert len(read.keys) == len(read.values)
