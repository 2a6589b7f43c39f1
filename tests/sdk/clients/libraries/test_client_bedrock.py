"""boto3 against Bedrock: plain dicts; fresh input, cache reads and cache writes are summed."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from expect import Watched, counts, meter, one, said

REQUEST: Any = {
    "modelId": "anthropic.claude-fable-5-2",
    "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
}
# 100 fresh + 30 read + 20 written.
COUNTS = counts(input=150, output=50, cache_read=30, cache_write=20)

pytestmark = pytest.mark.usefixtures("provider")


def client() -> Any:
    return boto3.client("bedrock-runtime")


def test_converse() -> None:
    answer = client().converse(**REQUEST)
    assert one(answer).tokens == COUNTS
    operation, provider, model, _, reasons = said(one(answer))
    assert (operation, provider, model, reasons) == ("chat", "aws.bedrock", None, ("end_turn",))


def test_the_stream_of_converse_inside_its_dict() -> None:
    answer = client().converse_stream(**REQUEST)
    watched = Watched(answer["stream"])
    events = list(answer["stream"])
    assert watched.marks == len(events) == 6
    reading = watched.meter.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert watched.meter.text() == "Good morning"
    assert said(reading) == ("chat", "aws.bedrock", None, None, ("end_turn",))


def test_the_whole_dict_may_be_handed_over() -> None:
    answer = client().converse_stream(**REQUEST)
    watched = Watched(answer)
    assert len(list(answer["stream"])) == watched.marks == 6
    assert watched.meter.reading() is not None


def test_invoke_model_is_read_off_its_headers() -> None:
    answer = client().invoke_model(modelId="meta.llama3", body="{}")
    reading = one(answer)
    assert reading.tokens == counts(input=100, output=50)
    assert reading.provider == "aws.bedrock"
    assert answer["body"].read()  # nobody has taken it


def test_the_stream_of_invoke_model_ends_with_its_metrics() -> None:
    answer = client().invoke_model_with_response_stream(modelId="meta.llama3", body="{}")
    watched = Watched(answer)
    list(answer["body"])
    reading = watched.meter.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert reading.provider == "aws.bedrock"


def test_events_that_are_yielded_on() -> None:
    reading = meter(client().converse_stream(**REQUEST)["stream"]).reading()
    assert reading is not None
    assert reading.tokens == COUNTS


def test_other_services_of_boto3_are_none_of_it() -> None:
    from andon.clients import readings

    assert readings({"ResponseMetadata": {"HTTPHeaders": {"content-length": "3"}}, "Buckets": []}) == ()
