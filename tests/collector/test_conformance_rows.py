"""Every row of the list of OTLP's rules for a receiver, and the test that holds it, or why there is none.

Common rules are C, those of HTTP are H with J for JSON, those of gRPC are G. A test that says a row in its name holds
it; the others are named here.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest

from collector.answers import RefusalError, status_of
from settings import ServerSettings

MODULES = (
    "test_auth",
    "test_conformance",
    "test_conformance_bodies",
    "test_conformance_rows",
    "test_faults_kill",
    "test_encodings",
    "test_exporters",
    "test_otlp_json",
    "test_receiver",
)
ROWS = tuple(
    f"{letter}{number}"
    for letter, most in (("C", 14), ("H", 18), ("J", 12), ("G", 10))
    for number in range(1, most + 1)
)

HELD_BY = {
    "C1": "test_conformance.test_every_signal_encoding_and_compression_leads_to_the_same_rows",
    "C2": "test_conformance.test_h5_h10_every_error_is_a_status_in_the_encoding_of_the_request",
    "C14": "test_faults_kill.test_twenty_kills_lose_and_double_nothing_of_any_signal",
    "H1": "test_auth.test_every_path_of_the_receiver_is_one_of_those_that_demand_a_key",
    "H3": "test_conformance.test_every_signal_encoding_and_compression_leads_to_the_same_rows",
    "H6": "test_conformance.test_j1_to_j10_json_as_the_documents_write_it_is_stored",
    "H7": "test_encodings.test_compression_is_taken_also_in_several_members",
    "H9": "test_conformance.test_c5_c6_an_empty_request_succeeds_and_the_answer_holds_no_partial_success",
    "H12": "test_conformance.test_h13_g6_what_cannot_be_stored_now_is_to_be_retried_soon_and_then_succeeds",
    "J2": "test_otlp_json.test_an_enum_is_a_number_or_a_name",
    "J3": "test_otlp_json.test_fields_that_are_not_known_are_ignored_at_every_level",
    "J4": "test_encodings.test_spans_in_json_are_stored_and_refused_like_others",
    "J5": "test_otlp_json.test_a_64_bit_integer_is_exact_as_a_number_and_as_a_string",
    "J6": "test_otlp_json.test_bytes_are_base64_and_doubles_may_be_named",
    "J7": "test_otlp_json.test_bytes_are_base64_and_doubles_may_be_named",
    "J8": "test_otlp_json.test_an_enum_is_a_number_or_a_name",
    "J9": "test_otlp_json.test_what_is_no_request_in_json_is_undecodable",
    "J11": "test_encodings.test_spans_in_json_are_stored_and_refused_like_others",
    "J12": "test_conformance.test_h11_g5_what_cannot_be_decoded_is_bad_data_with_a_bad_request_in_its_details",
    "G1": "test_exporters.test_the_exporters_of_opentelemetry_deliver_spans_points_and_records",
    "G4": "test_conformance.test_h13_g6_what_cannot_be_stored_now_is_to_be_retried_soon_and_then_succeeds",
}

DOES_NOT_APPLY = {
    "H2": "a receiver may speak HTTP/1.1 or HTTP/2, and HTTP/1.1 is what every sender speaks",
    "H4": "a receiver may take gRPC and HTTP on one port; this one has a port for each",
}


def found_in(name: str) -> dict[str, object]:
    module: ModuleType = importlib.import_module(f"tests.collector.{name}")
    return {f"{name}.{test}": found for test, found in vars(module).items() if test.startswith("test_")}


def holding(row: str) -> list[str]:
    """The tests that say a row at the start of their names, such as `test_c5_c6_...`."""
    said = re.compile(rf"^test_(?:[a-z]\d+_)*{row.lower()}_")
    return [test for module in MODULES for test in found_in(module) if said.match(test.split(".")[1])]


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    if row in DOES_NOT_APPLY:
        assert not holding(row)
    elif row in HELD_BY:
        assert HELD_BY[row] in found_in(HELD_BY[row].split(".")[0])
    else:
        assert holding(row), f"no test holds {row}"


def test_no_row_is_named_that_does_not_exist() -> None:
    assert {*HELD_BY, *DOES_NOT_APPLY} <= {*ROWS}
    assert not {*HELD_BY} & {*DOES_NOT_APPLY}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 429, 503])
def test_g7_g10_what_is_to_be_retried_over_one_transport_is_over_the_other_and_nothing_else_is(status: int) -> None:
    """Senders retry 429, 502, 503 and 504 over HTTP, and these codes over gRPC; 8 only when it says when."""
    found = status_of(RefusalError(status, "test", "no", 3 if status == 429 else None))
    says_when = [detail.type_url.rsplit(".", 1)[1] for detail in found.details] == ["RetryInfo"]
    over_grpc = found.code in {1, 4, 10, 11, 14, 15} or (found.code == 8 and says_when)
    assert over_grpc == says_when == (status in {429, 502, 503, 504})


def test_h17_g9_the_default_ports_are_those_of_otlp() -> None:
    ports = ServerSettings()
    assert (ports.otlp_http_port, ports.otlp_grpc_port) == (4318, 4317)
