"""Where the server may listen."""

from __future__ import annotations

import pytest

from mcp_server.binding import check_bind
from orderflow.errors import ConfigError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback(host: str) -> None:
    """Loopback is always allowed."""
    check_bind(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])
def test_elsewhere(host: str) -> None:
    """Anything else is refused with the way out, until there is a key."""
    with pytest.raises(ConfigError, match="wadm keys create"):
        check_bind(host)
    check_bind(host, keys=True)
