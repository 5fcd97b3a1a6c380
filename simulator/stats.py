"""What a simulator did, for tests and the demo's screen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counts since the start. `trades` counts records sent per stream name, once per subscriber."""

    frames: int = 0
    sent_bytes: int = 0
    connects: Counter[str] = field(default_factory=Counter)
    refused_connects: int = 0
    kicks: Counter[str] = field(default_factory=Counter)
    trades: Counter[str] = field(default_factory=Counter)
    rest_calls: Counter[str] = field(default_factory=Counter)
