"""Decoding: frames to integer columns, beside stdlib json and the typed float decode inside it.

Binance aggregate trades of 100 symbols in the combined envelope, in groups as a busy socket gives
them. Ours ends in integer ticks and lots, checked to be whole, by instrument; stdlib json ends in
floats, the typed decode in structs of floats. All alternate; the least of each is compared, by
processor time. A group of a thousand is what a blast gives, of twenty a busy hour.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from time import process_time
from typing import Any

from rich.table import Table

from bench.goals import Goal, console, times
from bench.tape import LOT, SYMBOLS, TICK, drawn, halves
from collectors.venues.binance_codec import BinanceCodec
from collectors.venues.binance_rows import decode_combined
from orderflow.instrument import Instrument, Market

GOAL_JSON, GOAL_TYPED = 3.0, 0.7
GROUPS = (1_000, 20)


def frames(count: int) -> list[bytes]:
    """The frames of the road, without candles."""
    made = []
    for trade in drawn(count):
        head, tail = halves(trade)
        made.append(f"{head}{trade.at + 1}{tail % trade.at}".encode())
    return made


def instruments() -> list[Instrument]:
    """Those of the tape."""
    return [
        Instrument(
            venue="binance",
            market=Market.SPOT,
            symbol=symbol,
            base=symbol[:-4],
            quote="USDT",
            tick_size=Decimal(TICK),
            lot_size=Decimal(LOT),
        )
        for symbol in SYMBOLS
    ]


def by_json(group: Sequence[bytes]) -> list[tuple[Any, ...]]:
    """What a plain client does: dictionaries, then floats."""
    found = []
    for frame in group:
        d = json.loads(frame)["data"]
        found.append((d["s"], d["a"], d["T"], float(d["p"]), float(d["q"]), d["m"]))
    return found


def by_types(group: Sequence[bytes]) -> list[Any]:
    """msgspec with types and floats, nothing made of them."""
    return [decode_combined(frame).data for frame in group]


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Alternate the three at both sizes of groups."""
    made = frames(40_000 if quick else 100_000)
    goals: list[Goal] = []
    table = Table("frames at once", "ours ns", "json ns", "typed floats ns")
    figures: dict[str, dict[str, float]] = {}
    for size in GROUPS:
        groups = [made[at : at + size] for at in range(0, len(made), size)]
        codec = BinanceCodec(instruments())
        works: dict[str, Callable[[Sequence[bytes]], object]] = {
            "ours": lambda group, codec=codec: codec.decode(group, 1),  # type: ignore[misc]
            "json": by_json,
            "typed": by_types,
        }
        ns = least(works, groups, len(made), 5)
        assert codec.counts.trades % len(made) == 0
        figures[str(size)] = ns
        table.add_row(f"{size:,}", *(f"{ns[name]:,.0f}" for name in works))
        rates = {name: 1e9 / found for name, found in ns.items()}
        words = f"decode to integer columns, {size:,} frames at once"
        goals.append(
            times(f"{words} / stdlib json", "trades/s", rates["ours"], rates["json"], GOAL_JSON)
        )
        goals.append(
            times(
                f"{words} / typed msgspec floats",
                *("trades/s", rates["ours"], rates["typed"], GOAL_TYPED),
            )
        )
    console.print(table)
    return goals, {"ns_per_trade": figures, "load": os.getloadavg()}


def least(
    works: dict[str, Callable[[Sequence[bytes]], object]],
    groups: Sequence[Sequence[bytes]],
    units: int,
    repeats: int,
) -> dict[str, float]:
    """Nanoseconds of processor time a frame, the least of alternating runs."""
    best = dict.fromkeys(works, float("inf"))
    gc.collect()
    gc.disable()
    for _ in range(repeats):
        for name, work in works.items():
            began = process_time()
            for group in groups:
                work(group)
            best[name] = min(best[name], (process_time() - began) * 1e9 / units)
    gc.enable()
    return best
