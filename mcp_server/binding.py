"""Where the server may listen: beyond loopback only behind API keys."""

from __future__ import annotations

import contextlib
import ipaddress

from orderflow.errors import ConfigError


def is_loopback(host: str) -> bool:
    """The address, or localhost, can only be reached from this machine."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def check_bind(host: str, *, keys: bool = False) -> None:
    """Only loopback without an API key; ConfigError says what to do."""
    if not keys and not is_loopback(host):
        raise ConfigError(
            "WADM_HOST is no loopback address and there is no API key: "
            "make one first with `wadm keys create NAME`"
        )
