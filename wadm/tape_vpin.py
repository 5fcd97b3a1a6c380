"""VPIN of a tape from its single trades: what stood at the end of every window, no trade later."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from orderflow.answers import iso
from orderflow.errors import ConfigError
from orderflow.indicators import vpin
from orderflow.studies.study import Row, Studied
from orderflow.timeframe import floor_ms
from orderflow.trade import TradeBatch
from processor.toxicity import Toxicity
from wadm.replay import Replay


class Follower(Protocol):
    """What follows trades."""

    def add(self, batch: TradeBatch, i: int, j: int) -> None:
        """Trades i..j-1, in order."""
        ...

    def row(self, end_ms: int) -> Row:
        """What stands when everything before `end_ms` was added."""
        ...


class AsServed:
    """The server's own rule: buckets of the volume of the UTC day before / 50."""

    def __init__(self) -> None:
        self.state = Toxicity()

    def add(self, batch: TradeBatch, i: int, j: int) -> None:
        """Trades in order."""
        self.state.take_loose(batch, i, j)

    def row(self, end_ms: int) -> Row:
        """The reading, in lots."""
        self.state.settle(end_ms)
        seen = self.state.reading()
        return {
            "vpin": seen.value,
            "filled": seen.filled,
            "bucket_lots": seen.bucket_lots,
            "reason": seen.reason,
        }


class OfOneSize:
    """Buckets of one size."""

    def __init__(self, bucket_lots: int) -> None:
        self.state = vpin.new(bucket_lots)

    def add(self, batch: TradeBatch, i: int, j: int) -> None:
        """Trades in order."""
        self.state.add_trades(batch.qty_lots, batch.side, i, j)

    def row(self, end_ms: int) -> Row:
        """The value, in lots."""
        value = self.state.value()
        missing = f"{len(self.state.imbalances)} of {self.state.buckets} buckets filled"
        return {
            "vpin": value,
            "filled": self.state.filled,
            "bucket_lots": self.state.bucket_lots,
            "reason": missing if value is None else None,
        }


def tape_vpin(
    played: Replay, length_ms: int, bucket: Decimal | None, progress: Callable[[int, int], None]
) -> Studied:
    """A row per window of the tape; `bucket` in base units. ConfigError for less than a lot."""
    lot = played.stream.instrument.lot_size
    if bucket is not None and bucket < lot:
        raise ConfigError(f"a bucket holds at least one lot, {lot:f}")
    follower: Follower = AsServed() if bucket is None else OfOneSize(int(bucket / lot))
    items: list[Row] = []
    end: int | None = None
    done, of = 0, len(played.trades)
    for batch in played.batches():
        at = 0
        if end is None:
            end = floor_ms(batch.event_ms[0], length_ms) + length_ms
        while batch.event_ms[-1] >= end:
            upto = bisect_left(batch.event_ms, end, at)
            follower.add(batch, at, upto)
            items.append(_row(follower.row(end), end, length_ms, lot))
            at, end = upto, end + length_ms
        follower.add(batch, at, len(batch.event_ms))
        done += len(batch)
        progress(done, of)
    if end is not None:
        items.append(_row(follower.row(end), end, length_ms, lot))
    return Studied({"buckets": vpin.BUCKETS, "state": "exact", "made_from": "trades"}, items)


def _row(seen: Row, end_ms: int, length_ms: int, lot: Decimal) -> Row:
    lots = seen.pop("bucket_lots")
    ends = {"period_start": iso(end_ms - length_ms), "period_end": iso(end_ms)}
    return ends | seen | {"bucket_volume": None if lots is None else lots * lot}
