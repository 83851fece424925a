"""What all tests can ask for."""

from tests.browser import browser

__all__ = ["browser"]
