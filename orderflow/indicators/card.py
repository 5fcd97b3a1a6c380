"""The rule card: what an indicator means, in words and formula, and what it does not mean.

`wadm explain`, the served explanation and the sections of docs/indicators.md are made from it.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """One choice of an indicator: its name, default and unit as text, and what it decides."""

    name: str
    default: str
    unit: str
    meaning: str


class Example(msgspec.Struct, frozen=True):
    """What the six trades of the worked example give; `numbers` are (name, value as text).

    `setting` says how the trades are cut into bars, minutes or days.
    """

    setting: str
    numbers: tuple[tuple[str, str], ...]


class RuleCard(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reader needs to recompute one indicator and to judge it.

    `family`: profile, flow, footprint, toxicity, wyckoff or context. `merging`: how the value of a
    long window or of several venues comes from its parts, and whether that is exact.
    `evidence`: what the number shows; `not_evidence`: what it is often taken for and is not.
    """

    name: str
    version: int
    family: str
    summary: str
    formula: str
    units: str
    parameters: tuple[Parameter, ...]
    ties: str
    edges: tuple[str, ...]
    merging: str
    evidence: str
    not_evidence: str
    source: str
    example: Example

    @property
    def algo(self) -> str:
        """Name and version, as served in `quality.algo`."""
        return f"{self.name}/{self.version}"

    def plain(self) -> dict[str, Any]:
        """The card as plain values, with its `algo`: what commands and servers give out."""
        return {"algo": self.algo, **msgspec.to_builtins(self)}
