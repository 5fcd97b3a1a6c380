"""How much of the bus is contained in durable checkpoints, and what of it need not be read again.

A processor apart from its collectors reads on behind the floor after a stop. Every stream's own
checkpoint may be newer than that; what it contains already is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

NAME = "~bus"
"""The checkpoint that holds the floor; no instrument is called so."""


class Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every checkpoint contains everything up to this position of this epoch."""

    epoch: str = ""
    position: int = 0


class Positions:
    """Which streams hold what is in no durable checkpoint yet."""

    def __init__(self) -> None:
        self._marked = 0
        self._dirty: dict[str, int] = {}
        self._saving: dict[str, int] = {}

    def mark(self, changed: Iterable[str], position: int) -> None:
        """Everything up to `position` was applied; these streams have changed since they were
        last encoded: at the earliest behind the position of the mark before."""
        for name in changed:
            self._dirty.setdefault(name, self._marked)
        self._marked = position

    def saving(self, names: Iterable[str]) -> None:
        """The checkpoints of these streams are on their way."""
        for name in names:
            self._saving[name] = self._dirty.pop(name, self._marked)

    def saved(self) -> None:
        """They are durable."""
        self._saving.clear()

    def failed(self) -> None:
        """They are not."""
        for name, position in self._saving.items():
            self._dirty[name] = min(position, self._dirty.get(name, position))
        self._saving.clear()

    @property
    def floor(self) -> int:
        """The position up to which every stream's checkpoint is complete."""
        return min([self._marked, *self._dirty.values(), *self._saving.values()])


def encode(floor: Floor) -> bytes:
    """As a checkpoint."""
    return msgspec.json.encode(floor)


def decode(blob: bytes | None) -> Floor:
    """The inverse; the begin of everything where there is none."""
    return Floor() if blob is None else msgspec.json.decode(blob, type=Floor)


def readable(blob: bytes) -> bool:
    """True for a floor."""
    try:
        decode(blob)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def unseen(messages: Sequence[object], position: int, saved: Mapping[str, int]) -> list[object]:
    """What of a delivery at `position` the streams' checkpoints, saved there, do not contain."""
    found: list[object] = []
    for message in messages:
        kept: Any = message
        if (name := getattr(kept, "instrument", None)) is not None:
            if position > saved.get(name, 0):
                found.append(kept)
        elif (names := getattr(kept, "instruments", None)) is not None:
            new = [name for name in names if position > saved.get(name, 0)]
            if new:
                found.append(msgspec.structs.replace(kept, instruments=new))
        else:
            found.append(kept)
    return found
