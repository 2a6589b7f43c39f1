"""The end-to-end tests use the same browser as the page's own tests."""

from tests.dashboard.conftest import browser  # noqa: F401  fixture
