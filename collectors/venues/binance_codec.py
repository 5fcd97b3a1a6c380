"""Binance frames -> events, for spot and USD-M alike. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from collectors.reading import UNREADABLE, empty_batch, number_of
from collectors.venue import (
    FUTURE_TOLERANCE_MS,
    Acked,
    Candle,
    CodecCounts,
    Decoded,
    Notice,
    Refused,
    Shutdown,
)
from collectors.venues.binance_burst import BURST, burst_of
from collectors.venues.binance_rows import (
    MARKET_FILLS,
    Aggregate,
    Control,
    Event,
    EventText,
    Kline,
    KlineBody,
    RawTrade,
    aggregate_batch,
    decode_combined,
    decode_combined_text,
    decode_control,
    decode_single,
    decode_single_text,
    decode_together,
    judge_into,
)
from orderflow.errors import MalformedFrameError, OffGridError
from orderflow.instrument import Instrument
from orderflow.mixed import MixedTrades
from orderflow.trade import KlineClosed, TradeBatch

TOGETHER = 8
"""Fewer frames are decoded one by one."""


class BinanceCodec:
    """Reader of one Binance connection."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.counts = CodecCounts(rejected={})
        self.seen_ms = 0
        self._defined = {item.symbol: (item, 0) for item in instruments}
        self._kinds: dict[str, type] = {}

    def redefine(self, instrument: Instrument, scale: int) -> None:
        """Count this instrument in new steps from now on."""
        self._defined[instrument.symbol] = (instrument, scale)

    def forget(self, symbol: str) -> None:
        """Read nothing of this instrument from now on."""
        self._defined.pop(symbol, None)
        self._kinds.pop(symbol, None)

    def decode(self, frames: Sequence[bytes], received_ns: int) -> Decoded:
        """Read frames in order; trades by instrument or as one burst, then closed candles."""
        aggregates: list[Aggregate[float]] = []
        closed: list[KlineClosed] = []
        notices: list[Notice] = []
        exact: set[str] = set()
        self.counts.frames += len(frames)
        together = decode_together(frames) if len(frames) >= TOGETHER else None
        for data in together or self._read_each(frames, notices):
            if type(data) is Aggregate:
                aggregates.append(data)
            elif isinstance(data, Kline):
                self._kline(data, closed)
            elif isinstance(data, RawTrade):
                exact.add(data.s)
            elif data is not None:
                notices.append(Shutdown())
        events: list[TradeBatch | MixedTrades] = []
        burst = None if exact else self._burst(aggregates, received_ns)
        if burst is not None:
            events.append(burst)
        else:
            events += self._batches(aggregates, exact, received_ns)
        if exact:
            events += self._exactly(frames, exact, received_ns)
        for batch in events:
            self.counts.trades += len(batch.key)
        return Decoded([*events, *closed], notices)

    def _read_each(self, frames: Sequence[bytes], notices: list[Notice]) -> Iterator[Event | None]:
        for frame in frames:
            try:
                yield decode_combined(frame).data
            except UNREADABLE:
                yield self._other(frame, notices)

    def _burst(self, rows: list[Aggregate[float]], received_ns: int) -> MixedTrades | None:
        """All symbols at once; None when there is little, or anything odd."""
        if len(rows) < BURST:
            return None
        burst = burst_of(rows, self._defined, received_ns)
        if burst is None:
            return None
        symbols = [name.rpartition(":")[2] for name in burst.instruments]
        if any(self._kinds.setdefault(name, Aggregate) is not Aggregate for name in symbols):
            return None
        self.seen_ms = max(self.seen_ms, rows[-1].E)
        return burst

    def _batches(
        self, aggregates: list[Aggregate[float]], exact: set[str], received_ns: int
    ) -> list[TradeBatch]:
        """A batch per symbol; symbols that need a verdict per trade are added to `exact`."""
        batches = []
        by_symbol: defaultdict[str, list[Aggregate[float]]] = defaultdict(list)
        for row in aggregates:
            by_symbol[row.s].append(row)
        for symbol, rows in by_symbol.items():
            batch = None if symbol in exact else self._quick(symbol, rows, received_ns)
            if batch is None:
                exact.add(symbol)
            else:
                batches.append(batch)
        return batches

    def _quick(
        self, symbol: str, rows: list[Aggregate[float]], received_ns: int
    ) -> TradeBatch | None:
        """The whole column at once; None sends the rows to the exact way."""
        found = self._defined.get(symbol)
        if found is None or self._kinds.setdefault(symbol, Aggregate) is not Aggregate:
            return None
        batch = aggregate_batch(rows, *found, "live", received_ns)
        if batch is not None:
            self.seen_ms = max(self.seen_ms, rows[-1].E)
        return batch

    def _exactly(
        self, frames: Sequence[bytes], symbols: set[str], received_ns: int
    ) -> list[TradeBatch]:
        """Trades of these symbols one by one from their text, each with its own verdict."""
        batches: dict[str, TradeBatch] = {}
        for frame in frames:
            row = _trade_text(frame)
            if row is None or row.s not in symbols:
                continue
            found = self._defined.get(row.s)
            kind = self._kinds.setdefault(row.s, type(row))
            if found is None or kind is not type(row):
                self.counts.reject("unknown_symbol" if found is None else "mixed_ids")
                continue
            instrument, scale = found
            if row.s not in batches:
                batches[row.s] = empty_batch(instrument, scale, "live", received_ns)
            self._judge(batches[row.s], row, instrument)
        return list(batches.values())

    def _judge(
        self, batch: TradeBatch, row: Aggregate[str] | RawTrade[str], instrument: Instrument
    ) -> None:
        reason = ""
        if isinstance(row, RawTrade) and row.X not in MARKET_FILLS:
            reason = "not_market"
        elif row.T > row.E + FUTURE_TOLERANCE_MS:
            reason = "from_future"
        before = len(batch.rejected)
        judge_into(batch, row, instrument, reason)
        for _, why in batch.rejected[before:]:
            self.counts.reject(why)
        self.seen_ms = max(self.seen_ms, row.E)

    def _kline(self, event: Kline, closed: list[KlineClosed]) -> None:
        """Keep a closed one-minute candle; any candle tells the time."""
        found = self._defined.get(event.s)
        if found is None:
            self.counts.ignored += 1
            return
        self.seen_ms = max(self.seen_ms, event.E)
        if not event.k.x or event.k.i != "1m":
            return
        try:
            closed.append(_candle(event.k).counted(found[0]))
        except (MalformedFrameError, OffGridError):
            self.counts.malformed += 1

    def _other(self, frame: bytes, notices: list[Notice]) -> Event | None:
        """A frame without the combined envelope: an event, an answer, or not readable."""
        with suppress(*UNREADABLE):
            return decode_single(frame)
        try:
            control = decode_control(frame)
        except UNREADABLE:
            self.counts.malformed += 1
            return None
        request_id = "" if control.id is None else str(control.id)
        if control.error is not msgspec.UNSET:
            notices.append(Refused(request_id))
        elif control.result is not msgspec.UNSET:
            notices.append(Acked(request_id))
        elif _is_ours(control):
            self.counts.malformed += 1
        else:
            self.counts.ignored += 1
        return None


def _is_ours(control: Control) -> bool:
    """True for an event of a kind we read, which then has a wrong shape."""
    kind = control.e or control.stream.partition("@")[2].partition("_")[0]
    return kind in {"", "aggTrade", "trade", "kline", "serverShutdown"}


def _trade_text(frame: bytes) -> Aggregate[str] | RawTrade[str] | None:
    """The trade in a frame with its numbers as text, if it holds one."""
    data: EventText | None = None
    try:
        data = decode_combined_text(frame).data
    except UNREADABLE:
        with suppress(*UNREADABLE):
            data = decode_single_text(frame)
    return data if isinstance(data, Aggregate | RawTrade) else None


def _candle(k: KlineBody) -> Candle:
    return Candle(
        start_ms=k.t,
        open=number_of(k.o),
        high=number_of(k.h),
        low=number_of(k.l),
        close=number_of(k.c),
        volume=number_of(k.v),
        quote_volume=number_of(k.q),
        trades=k.n,
        taker_buy=number_of(k.V),
        taker_buy_quote=number_of(k.Q),
        first_trade_id=k.f if k.n else None,
        last_trade_id=k.L if k.n else None,
    )
