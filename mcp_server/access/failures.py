"""Failures: how often an address may be wrong, in any one minute."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from math import ceil

from backbone.clock import Monotonic, monotonic_s
from orderflow.errors import RateLimitError

WINDOW_S = 60.0
MOST_ADDRESSES = 10_000
IPV6_PREFIX = 64
"""A subscriber has a whole network of this size."""


class Failures:
    """Counts per address; the longest silent one is forgotten first."""

    def __init__(self, most: int, clock: Monotonic = monotonic_s) -> None:
        self.most = most
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        """It was wrong once more."""
        name = _network(address)
        times = self._times.setdefault(name, deque(maxlen=self.most))
        times.append(self._clock())
        self._times.move_to_end(name)
        if len(self._times) > MOST_ADDRESSES:
            self._times.popitem(last=False)

    def check(self, address: str) -> None:
        """RateLimitError when it was wrong too often."""
        times = self._times.get(_network(address), ())
        now = self._clock()
        recent = [at for at in times if now - at < WINDOW_S]
        if len(recent) >= self.most:
            wait_s = max(1, ceil(recent[0] + WINDOW_S - now))
            raise RateLimitError("too many wrong keys from this address", retry_after_s=wait_s)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
