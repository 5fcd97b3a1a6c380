"""ApiKey: what is kept about a key. The secret is not: only its bcrypt hash."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from orderflow.errors import ConfigError

METRICS = "metrics"
"""The endpoint that a key must be given by name: figures of the service, no market data."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key. Empty scopes allow everything; `addresses` are networks in CIDR form.

    `per_minute` None is the server's default budget. Times are wall time in ms.
    """

    id: str
    name: str
    hash: str
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    symbols: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    per_minute: int | None = None

    def active(self, now_ms: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)

    def from_here(self, address: str) -> bool:
        """The address is in one of the networks."""
        if not self.addresses:
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in ipaddress.ip_network(network) for network in self.addresses)

    def allows_endpoint(self, name: str) -> bool:
        """May ask this endpoint (the first part of the path)."""
        if name == METRICS:
            return METRICS in self.endpoints
        return not self.endpoints or name in self.endpoints

    def allows_symbol(self, symbol: str) -> bool:
        """May ask about this symbol (BTCUSDT)."""
        return not self.symbols or symbol in self.symbols

    def allows_tool(self, name: str) -> bool:
        """May call this MCP tool."""
        return not self.tools or name in self.tools

    @property
    def scoped(self) -> bool:
        """Sees less than everybody else: its answers must not come from a common cache."""
        return bool(self.symbols or self.endpoints)

    def public(self) -> dict[str, object]:
        """Everything but the hash."""
        data: dict[str, object] = msgspec.to_builtins(self)
        del data["hash"]
        return data


def checked_networks(texts: Sequence[str]) -> tuple[str, ...]:
    """Networks in CIDR form; ConfigError names one that is none."""
    networks = []
    for text in texts:
        try:
            networks.append(str(ipaddress.ip_network(text)))
        except ValueError:
            raise ConfigError(
                f"{text!r} is no network: write 203.0.113.7 or 203.0.113.0/24"
            ) from None
    return tuple(networks)
