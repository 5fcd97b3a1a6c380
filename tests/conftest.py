"""Fixtures every room may use."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from unmeasured import unmeasured

settings.register_profile("wadm", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("wadm")

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tests marked `unmeasured` are not traced: others cover the same lines in less time."""
    with unmeasured() if item.get_closest_marker("unmeasured") else contextlib.nullcontext():
        return (yield)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recorded trades and reference cases; tests that need them skip where they are absent."""
    path = Path(os.environ.get("WADM_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip("no shared data: set WADM_SHARED to the folder that holds data/ and cases/")
    return path


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    """A command under test may bind logs to a stream that ends with the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the shell do not reach the tests."""
    for name in [name for name in os.environ if name.startswith("WADM_")]:
        if name != "WADM_SHARED":
            monkeypatch.delenv(name)


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on, for a process that is told where to listen."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
