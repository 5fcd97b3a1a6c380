"""The bus port and its implementations."""

from __future__ import annotations

from collections.abc import Callable

from backbone.bus.base import Bus
from backbone.bus.memory import MemoryBus
from backbone.settings import Settings


def _memory(settings: Settings, role: str, *, owner: bool = False) -> Bus:
    return MemoryBus()


def _nats(settings: Settings, role: str, *, owner: bool = False) -> Bus:
    # The client takes a tenth of a second to import; one process alone does not need it.
    from backbone.bus.nats import Link, NatsBus
    from backbone.bus.nats_topic import Shape

    link = Link(
        settings.nats_url,
        role,
        settings.nats_ca_file,
        settings.nats_cert_file,
        settings.nats_key_file,
    )
    shape = Shape(settings.partitions, settings.nats_replicas)
    return NatsBus(link, owner=owner, shape=shape)


BUSES: dict[str, Callable[..., Bus]] = {"memory": _memory, "nats": _nats}
"""Every bus by name, made from the settings for a role; the `owner` makes its topics."""
