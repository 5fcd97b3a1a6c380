"""Parts every test of the client uses."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """A socket or file that a test leaves open fails that test, not one that comes later."""
    yield
    gc.collect()
