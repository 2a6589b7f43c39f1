"""The collector on loopback that the SDK's own tests use."""

from tests.sdk.conftest import collector  # noqa: F401  fixture
