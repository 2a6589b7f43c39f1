"""Runs only where the clients are installed: in the environment whose `pyproject.toml` stands here."""

from __future__ import annotations

import importlib.util
import itertools
import os
import threading
from collections.abc import Iterator

import pytest

from .provider import Provider, serve

collect_ignore_glob = [] if importlib.util.find_spec("openai") else ["test_*.py"]

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


def environment(url: str) -> dict[str, str]:
    """What points every client at the provider: the variables that they document, and keys that nobody checks."""
    return {
        "OPENAI_BASE_URL": f"{url}/openai/v1",
        "OPENAI_API_BASE": f"{url}/openai/v1",
        "OPENAI_API_KEY": "none",
        "ANTHROPIC_BASE_URL": f"{url}/anthropic",
        "ANTHROPIC_API_KEY": "none",
        "GOOGLE_GEMINI_BASE_URL": f"{url}/google",
        "GEMINI_API_KEY": "none",
        "CO_API_URL": f"{url}/cohere",
        "CO_API_KEY": "none",
        "MISTRAL_API_KEY": "none",
        "MISTRAL_URL": f"{url}/mistral",
        "OLLAMA_HOST": f"{url}",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"{url}/bedrock",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture(scope="session")
def _running() -> Iterator[Provider]:
    # Cohere's client takes its address when it is imported, so there is one for the session.
    running = serve()
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def server(_running: Provider) -> Provider:
    """A provider that answers for all of them, as if it were new."""
    _running.chats = itertools.count(1)
    _running.breaks_after = None
    return _running


@pytest.fixture
def provider_url(server: Provider) -> str:
    """Its address."""
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def provider(provider_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The provider, with every client pointed at it."""
    for name, value in environment(provider_url).items():
        monkeypatch.setenv(name, value)
    return provider_url
