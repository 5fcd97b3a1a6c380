"""Faults on demand: what a venue or the network does to the frames of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FaultPlan:
    """All off by default; keys are trade keys (aggregate ids or fill numbers of the tape).

    `drop`, `duplicate`: keys whose frame is lost or sent twice. `swap`: keys sent after their
    successor. `malformed`: keys before which a broken frame is sent. `stalled`: stream names that
    stay silent. `zero_qty`, `odd_kind`: keys before which a trade is injected that must never
    count (no quantity; a liquidation against the insurance fund, or a block trade).
    `refuse_connects`: how many of the next connections are refused.
    """

    drop: set[int] = field(default_factory=set)
    duplicate: set[int] = field(default_factory=set)
    swap: set[int] = field(default_factory=set)
    malformed: set[int] = field(default_factory=set)
    zero_qty: set[int] = field(default_factory=set)
    odd_kind: set[int] = field(default_factory=set)
    stalled: set[str] = field(default_factory=set)
    refuse_connects: int = 0

    @property
    def any_key(self) -> bool:
        """True when single prints are to be changed."""
        return bool(
            self.drop
            or self.duplicate
            or self.swap
            or self.malformed
            or self.zero_qty
            or self.odd_kind
        )

    def apply(self, keyed: list[tuple[int, str]]) -> list[str]:
        """Frames of one stream in the order, number and shape in which they are sent."""
        if not self.any_key:
            return [frame for _, frame in keyed]
        sent: list[str] = []
        held: str | None = None
        for key, frame in keyed:
            if key in self.malformed:
                sent.append(frame[: len(frame) // 2])
            if key in self.drop:
                continue
            if key in self.swap and held is None:
                held = frame
                continue
            sent.append(frame)
            if key in self.duplicate:
                sent.append(frame)
            if held is not None:
                sent.append(held)
                held = None
        return sent if held is None else [*sent, held]
