"""What a `[[collector.scrape]]` table may say, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import ScrapeTarget, SettingsError, load_settings

GOOD = 'name = "vllm"\nurl = "http://gpu-1:8000/metrics"\n'


def read(folder: Path, *tables: str) -> tuple[ScrapeTarget, ...]:
    config = folder / "andon.toml"
    config.write_text("".join(f"[[collector.scrape]]\n{table}" for table in tables))
    return load_settings(config, environ={}).collector.scrape


def refusal(folder: Path, *tables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(folder, *tables)
    assert "collector.scrape" in str(refused.value)
    assert "andon.toml" in str(refused.value)
    return str(refused.value)


def test_name_and_url_are_enough(tmp_path: Path) -> None:
    (target,) = read(tmp_path, GOOD)
    assert (target.interval_seconds, target.deadline_seconds) == (15, 10)
    assert (target.address, target.instance) == ("http://gpu-1:8000/metrics", "gpu-1:8000")


def test_the_timeout_never_passes_the_interval(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD + "interval_seconds = 5\n")[0].deadline_seconds == 5
    said = refusal(tmp_path, GOOD + "interval_seconds = 5\ntimeout_seconds = 6\n")
    assert "'vllm': timeout_seconds = 6 is longer than interval_seconds = 5" in said


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://gpu-1", "http://gpu-1:80/metrics"),
        ("https://gpu-1/", "https://gpu-1:443/metrics"),
        ("http://[::1]:9400/dcgm?a=b", "http://[::1]:9400/dcgm?a=b"),
    ],
)
def test_an_address_has_a_port_and_a_path(tmp_path: Path, url: str, address: str) -> None:
    assert read(tmp_path, f'name = "a"\nurl = "{url}"\n')[0].address == address


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gpu-1:8000/metrics", "the address of 'gpu-1' has no scheme: write http:// or https:// before it"),
        ("127.0.0.1:8000", "the address of '127.0.0.1' has no scheme"),
        ("ftp://gpu-1/metrics", "URL scheme should be 'http' or 'https'"),
        ("/metrics", "should be a valid URL"),
        ("http://gpu-1:99999/", "invalid port number"),
        ("http://ada:lovelace@gpu-1/metrics", "the address of 'gpu-1' holds a user: set username and password"),
    ],
)
def test_a_bad_address_is_told_and_secrets_in_it_are_not(tmp_path: Path, url: str, said: str) -> None:
    message = refusal(tmp_path, f'name = "a"\nurl = "{url}"\n')
    assert said in message
    assert "lovelace" not in message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('username = "ada"\n', "username and password go together"),
        ('username = "ada"\npassword = "secret-1"\nbearer_token = "secret-2"\n', "bearer_token and username are both"),
        ('bearer_token = "secret-1\\nX: y"\n', "a bearer token is printable ASCII"),
        ('labels = { "region" = "" }\n', "the label 'region' has no name or no value"),
        ('ca_file = "/nowhere/ca.pem"\n', "ca_file = '/nowhere/ca.pem' is not a file"),
        ("intervall_seconds = 5\n", "intervall_seconds: Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, more: str, said: str) -> None:
    message = refusal(tmp_path, GOOD + more)
    assert said in message
    assert "secret-" not in message


def test_one_job_may_have_many_instances_but_each_only_once(tmp_path: Path) -> None:
    assert len(read(tmp_path, GOOD, GOOD.replace("gpu-1", "gpu-2"), GOOD.replace("vllm", "other"))) == 3
    assert "two targets are named 'vllm' and ask gpu-1:8000" in refusal(tmp_path, GOOD, GOOD)
