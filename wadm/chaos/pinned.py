"""Seeds that once broke a promise, each with its reason, in the shortest form that still did."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

PATH = Path(__file__).with_name("pinned.json")
LENGTHS = (2, 4, 6, 10, 15, 20, 30, 45, 60)
"""Virtual minutes that are tried when a failure is made shorter."""


class Pin(NamedTuple):
    """A seed, its length in virtual minutes, and what it once showed."""

    seed: int
    minutes: int
    reason: str


def pinned() -> list[Pin]:
    """All of them."""
    rows = msgspec.json.decode(PATH.read_bytes(), type=list[dict[str, int | str]])
    return [Pin(int(r["seed"]), int(r["minutes"]), str(r["reason"])) for r in rows]


def shrunk(is_good: Callable[[int], bool], lengths: tuple[int, ...] = LENGTHS) -> int | None:
    """The shortest length at which a seed still breaks a promise; None if it never does."""
    return next((minutes for minutes in lengths if not is_good(minutes)), None)


def main() -> int:
    """Shrink one seed and print the line to pin."""
    from wadm.chaos.__main__ import one_seed
    from wadm.chaos.house import Plan

    parser = argparse.ArgumentParser(prog="python -m wadm.chaos.pinned", description=main.__doc__)
    parser.add_argument("seed", type=int)
    seed = parser.parse_args().seed
    minutes = shrunk(lambda length: one_seed(Plan(seed, length)).good)
    if minutes is None:
        print(f"seed {seed} breaks nothing")
        return 1
    notes = one_seed(Plan(seed, minutes)).notes
    row = {"seed": seed, "minutes": minutes, "reason": "; ".join(notes[:2])}
    print(msgspec.json.encode(row).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
