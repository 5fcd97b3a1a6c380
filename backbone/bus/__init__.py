"""The bus port and its implementations."""

from __future__ import annotations

from collections.abc import Callable

from backbone.bus.base import Bus
from backbone.bus.memory import MemoryBus

BUSES: dict[str, Callable[[], Bus]] = {"memory": MemoryBus}
"""Every bus by name."""
