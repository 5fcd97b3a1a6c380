"""The rule card: what an indicator means, in words and formula."""

from __future__ import annotations

import msgspec


class RuleCard(msgspec.Struct, frozen=True):
    """Name, version, formula, units, ties and traps of one indicator."""

    name: str
    version: int
    formula: str
    units: str
    ties: str
    source: str

    @property
    def algo(self) -> str:
        """Name and version, as served in `quality.algo`."""
        return f"{self.name}/{self.version}"
