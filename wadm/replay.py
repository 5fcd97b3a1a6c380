"""Offline replay: a tape through the same pure engine, without sockets, store or clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from orderflow import grid
from orderflow.answers import iso
from orderflow.completeness import Quality
from orderflow.errors import ConfigError
from orderflow.flow import FlowBar
from orderflow.flow import then as then_flow
from orderflow.footprint import FootprintBar
from orderflow.indicators import order_flow, volume_profile
from orderflow.indicators.volume_profile import Method
from orderflow.timeframe import MINUTE_MS, PERIODS, TIMEFRAMES, Window, aligned, floor_ms
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor import windows
from processor.engine import Engine, Results
from processor.minute import empty_flow
from processor.stream import Stream
from simulator.columns import BUYER, EVENT, FIRST, KEY, LAST, PRICE, QTY, SEQ, Ints
from simulator.tape import Track
from simulator.tapes import load_tape

TRADES_PER_BATCH = 500
CONNECTION = "replay"


class Replay:
    """One instrument's tape; `rows()` gives a window each. `trades` are the rows it counts."""

    def __init__(
        self,
        path: Path,
        instrument: str,
        *,
        tick_size: Decimal | None = None,
        lot_size: Decimal | None = None,
        row_size: Decimal | None = None,
        method: Method = "single",
    ) -> None:
        self.method = method
        self.track = self._load(path, instrument, tick_size, lot_size)
        item = self.track.instrument
        self.name = item.name
        self.trades = self.track.counted
        price = Decimal(int(self.trades.column(PRICE)[0])).scaleb(-item.price_digits)
        self.hour_range = price * grid.RANGE_OF_PRICE
        self.row_size = row_size
        fixed = {} if row_size is None else {item.symbol: row_size}
        self.engine = Engine(fixed)
        numbered = not (item.venue == "bybit" and item.market == "perp")
        self.engine.handle(
            InstrumentChanged(
                venue=item.venue,
                market=item.market,
                symbol=item.symbol,
                base=item.base,
                quote=item.quote,
                tick_size=Decimal(item.tick_size),
                lot_size=Decimal(item.lot_size),
                sequence="consecutive" if numbered else "unordered",
                last_price=price,
            )
        )
        self.stream: Stream = self.engine.streams[self.name]
        self.applied = 0
        self.on_results: Callable[[Results, int], None] | None = None

    @staticmethod
    def _load(
        path: Path, instrument: str, tick_size: Decimal | None, lot_size: Decimal | None
    ) -> Track:
        """The track under the asked name; its steps are inferred unless given."""
        tick, lot = (None if step is None else f"{step:f}" for step in (tick_size, lot_size))
        place, _, symbol = instrument.rpartition(":")
        name = f"{place}:{symbol.upper()}"
        (track,) = load_tape(path, name, tick_size=tick, lot_size=lot).tracks
        if not len(track.counted):
            raise ConfigError(f"{path.name} has no trade that counts")
        return track

    def batches(self) -> Iterator[TradeBatch]:
        """The trades that count, in the order of the tape."""
        for start in range(0, len(self.trades), TRADES_PER_BATCH):
            yield _batch(self.track, self.trades.matrix(start, start + TRADES_PER_BATCH))

    def windows(self, length_ms: int) -> Iterator[tuple[Window, FootprintBar]]:
        """Every window of the tape in time order, as it closes; the last one as it stands."""
        for window, bar, _ in self.pieces(length_ms):
            yield window, bar

    def pieces(self, length_ms: int) -> Iterator[tuple[Window, FootprintBar, Quality | None]]:
        """The same with the evidence of each; `on_results` sees what closed on the way."""
        start = int(self.trades.column(EVENT)[0])
        self.engine.handle(Connected([self.name], CONNECTION, 0))
        self.engine.handle(Watermark([self.name], floor_ms(start, MINUTE_MS), CONNECTION))
        at = aligned(start, length_ms)
        now = start
        for batch in self.batches():
            self.engine.handle(batch)
            now = batch.event_ms[-1]
            self.engine.handle(Watermark([self.name], now, CONNECTION))
            results = self.engine.advance_one(self.name, now, 0)
            if self.on_results is not None:
                self.on_results(results, now)
            self.applied += len(batch)
            while at.end_ms <= (self.stream.next_close_ms or 0):
                yield at, *self._piece(at, now)
                at = Window(at.end_ms, at.end_ms + length_ms)
        while at.start_ms <= now:
            yield at, *self._piece(at, now)
            at = Window(at.end_ms, at.end_ms + length_ms)

    def _piece(self, window: Window, now_ms: int) -> tuple[FootprintBar, Quality | None]:
        piece = windows.footprint_of(self.stream, window, now_ms)
        if piece is None:
            flow = empty_flow(self.stream.instrument, window.start_ms, window.end_ms)
            return FootprintBar(flow, self.row_size or self.stream.instrument.tick_size, {}), None
        return piece

    def rows(self, timeframe: str, period: str | None) -> Iterator[dict[str, Any]]:
        """One object a window of the timeframe, and one a step of the period after it."""
        row_size = self.row_size
        for window, bar in self.windows(TIMEFRAMES[timeframe]):
            if row_size is None:
                served = grid.served_row(bar.row_size, self.hour_range, timeframe)
                bar = bar.coarsened(max(served, bar.row_size))
            yield {"timeframe": timeframe} | window_object(bar, self.method)
            if period is not None:
                yield from self._steps(window, period)

    def _steps(self, window: Window, period: str) -> Iterator[dict[str, Any]]:
        length = PERIODS[period]
        now = min(window.end_ms, self.stream.last_event_ms)
        for start in range(window.start_ms, window.end_ms, length):
            step = Window(start, start + length)
            if start > now:
                return
            total = empty_flow(self.stream.instrument, start, start + length)
            for bar in windows.flow_bars(self.stream, step, min(length, MINUTE_MS), now):
                total = then_flow(total, bar)
            yield {"period": period} | flow_object(total)


def _batch(track: Track, rows: Ints) -> TradeBatch:
    return TradeBatch(
        instrument=track.instrument.name,
        key=rows[KEY].tolist(),
        event_ms=rows[EVENT].tolist(),
        price_ticks=(rows[PRICE] // track.tick_units).tolist(),
        qty_lots=(rows[QTY] // track.lot_units).tolist(),
        side=rows[BUYER].tolist(),
        seq=rows[SEQ].tolist(),
        n_trades=(rows[LAST] - rows[FIRST] + 1).tolist(),
        first_trade_id=rows[FIRST].tolist(),
        last_trade_id=rows[LAST].tolist(),
    )


def window_object(bar: FootprintBar, method: Method) -> dict[str, Any]:
    """The documented fields of a window, numbers as decimal strings."""
    found = volume_profile.profile(bar.rows, method=method)
    size = bar.row_size
    levels: dict[str, Any] = {"poc": None, "vah": None, "val": None}
    if found is not None:
        rows = {"poc": found.poc_row, "vah": found.vah_row, "val": found.val_row}
        levels = {name: f"{row * size:f}" for name, row in rows.items()}
    base = flow_object(bar.flow)
    ids = {name: base.pop(name) for name in ("first_id", "last_id")}
    return base | levels | ids


def flow_object(bar: FlowBar) -> dict[str, Any]:
    """The flow part of a window, numbers as decimal strings."""
    least, most = order_flow.served_extremes(bar)
    lot, tick = bar.lot_size, bar.tick_size
    prices = {
        name: None if value is None else f"{value * tick:f}"
        for name, value in (
            ("open", bar.open_ticks),
            ("high", bar.high_ticks),
            ("low", bar.low_ticks),
            ("close", bar.close_ticks),
        )
    }
    return {
        "period_start": iso(bar.start_ms),
        **prices,
        "total_volume": f"{bar.volume_lots * lot:f}",
        "buy_volume": f"{bar.buy_lots * lot:f}",
        "sell_volume": f"{bar.sell_lots * lot:f}",
        "quote_volume": f"{bar.quote(bar.buy_quote + bar.sell_quote):f}",
        "buy_quote_volume": f"{bar.quote(bar.buy_quote):f}",
        "total_trades": str(bar.trades),
        "delta": f"{bar.delta_lots * lot:f}",
        "min_delta": f"{(least or 0) * lot:f}",
        "max_delta": f"{(most or 0) * lot:f}",
        "first_id": None if bar.first_id is None else str(bar.first_id),
        "last_id": None if bar.last_id is None else str(bar.last_id),
    }
