"""Rows of the venues' own daily archive files, as columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

from collectors.reading import empty_batch, judged
from collectors.venues.bybit_rows import uuid_key
from orderflow.errors import MalformedFrameError
from orderflow.instrument import Instrument
from orderflow.trade import Side, TradeBatch

MICROSECONDS_FROM = 10**14
"""Binance spot files count microseconds since 2025."""
SELLS = frozenset({"true", "1"})
HEADS = {"binance": "agg_trade_id", "bybit": "timestamp"}


def binance_batch(lines: Iterable[Sequence[str]], instrument: Instrument, scale: int) -> TradeBatch:
    """Aggregates: id, price, quantity, first, last, time, buyer was maker."""
    batch = empty_batch(instrument, scale, "archive")
    for line in lines:
        if not line or not line[0].isdigit():
            continue
        key, first, last, at = (int(line[column]) for column in (0, 3, 4, 5))
        verdict = judged(line[1], line[2], instrument)
        if isinstance(verdict, str) or last < first:
            batch.rejected.append((key, verdict if isinstance(verdict, str) else "malformed"))
            continue
        batch.key.append(key)
        batch.event_ms.append(at // 1_000 if at >= MICROSECONDS_FROM else at)
        batch.price_ticks.append(verdict[0])
        batch.qty_lots.append(verdict[1])
        batch.side.append(Side.SELL if line[6].lower() in SELLS else Side.BUY)
        batch.n_trades.append(last - first + 1)
        batch.first_trade_id.append(first)
        batch.last_trade_id.append(last)
    return batch


class BybitReader:
    """Fills by the names in the header; spot files number a day's trades from 1."""

    def __init__(self, instrument: Instrument, scale: int) -> None:
        self._instrument = instrument
        self._scale = scale
        self._head: list[str] = []

    def batch(self, lines: Iterable[Sequence[str]]) -> TradeBatch:
        """The next lines of the file."""
        batch = empty_batch(self._instrument, self._scale, "archive")
        for line in lines:
            if not self._head:
                self._head = list(line)
                continue
            row = dict(zip(self._head, line, strict=False))
            try:
                text = row.get("trdMatchID")
                key = int(row["id"]) if text is None else uuid_key(text)
                at = Decimal(row["timestamp"])
                price, quantity = row["price"], row.get("size") or row["volume"]
            except (KeyError, ValueError, InvalidOperation):
                raise MalformedFrameError("an archive row has not the known columns") from None
            verdict = judged(price, _plain(quantity), self._instrument)
            if isinstance(verdict, str):
                batch.rejected.append((key, verdict))
                continue
            batch.key.append(key)
            batch.event_ms.append(int(at) if at > 10**11 else int(at * 1_000))
            batch.price_ticks.append(verdict[0])
            batch.qty_lots.append(verdict[1])
            batch.side.append(Side.BUY if row["side"].lower() == "buy" else Side.SELL)
        return batch


def _plain(text: str) -> str:
    """A quantity without an exponent."""
    return f"{Decimal(text):f}" if "e" in text.lower() else text
