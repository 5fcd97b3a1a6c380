"""Bybit v5 frames -> events, for spot and linear alike. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from collectors.reading import UNREADABLE, empty_batch, number_of
from collectors.venue import (
    FUTURE_TOLERANCE_MS,
    Acked,
    Candle,
    CodecCounts,
    Decoded,
    Lost,
    Notice,
    Pong,
    Refused,
)
from collectors.venues.bybit_rows import (
    CANDLES,
    TRADES,
    CandleBody,
    CandleFrame,
    Control,
    TradeFrame,
    decode_candle,
    decode_control,
    decode_trades,
    decode_trades_text,
    fill_batch,
    judge_into,
)
from orderflow.errors import MalformedFrameError, OffGridError
from orderflow.instrument import Instrument
from orderflow.trade import KlineClosed, TradeBatch

ALREADY = re.compile(r"error:already subscribed,topic:([A-Za-z0-9.]{1,60})", re.ASCII)


class BybitCodec:
    """Reader of one Bybit connection."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.counts = CodecCounts(rejected={})
        self.seen_ms = 0
        self._defined: dict[str, tuple[Instrument, int]] = {}
        for item in instruments:
            self.redefine(item, 0)

    def redefine(self, instrument: Instrument, scale: int) -> None:
        """Count this instrument in new steps from now on."""
        self._defined[TRADES + instrument.symbol] = (instrument, scale)
        self._defined[CANDLES + instrument.symbol] = (instrument, scale)

    def forget(self, symbol: str) -> None:
        """Read nothing of this instrument from now on."""
        for kind in (TRADES, CANDLES):
            self._defined.pop(kind + symbol, None)

    def decode(self, frames: Sequence[bytes], received_ns: int) -> Decoded:
        """Read frames in order; one TradeBatch per instrument, then closed candles."""
        found: defaultdict[str, list[TradeFrame[float]]] = defaultdict(list)
        closed: list[KlineClosed] = []
        notices: list[Notice] = []
        exact: set[str] = set()
        self.counts.frames += len(frames)
        read = decode_trades
        for frame in frames:
            try:
                trades = read(frame)
                found[trades.topic].append(trades)
            except UNREADABLE:
                exact.add(self._other(frame, closed, notices))
        exact.discard("")
        events: list[TradeBatch] = []
        for topic, parts in found.items():
            batch = None if topic in exact else self._quick(topic, parts, received_ns)
            if batch is None:
                exact.add(topic)
            elif batch.key:
                events.append(batch)
        if exact:
            events += self._exactly(frames, exact, received_ns, notices)
        for batch in events:
            self.counts.trades += len(batch.key)
        return Decoded([*events, *closed], notices)

    def _quick(
        self, topic: str, parts: list[TradeFrame[float]], received_ns: int
    ) -> TradeBatch | None:
        """The whole column at once; None sends the rows to the exact way."""
        defined = self._defined.get(topic)
        if defined is None or not topic.startswith(TRADES):
            return None
        rows = parts[0].data if len(parts) == 1 else [row for part in parts for row in part.data]
        if not rows:
            return empty_batch(*defined, "live")
        until_ms = min([part.ts for part in parts]) + FUTURE_TOLERANCE_MS
        batch = fill_batch(rows, *defined, "live", received_ns, until_ms)
        if batch is not None:
            self.seen_ms = max(self.seen_ms, parts[-1].ts)
        return batch

    def _exactly(
        self,
        frames: Sequence[bytes],
        topics: set[str],
        received_ns: int,
        notices: list[Notice],
    ) -> list[TradeBatch]:
        """Trades of these topics one by one from their text, each with its own verdict."""
        batches: dict[str, TradeBatch] = {}
        for frame in frames:
            part = self._trade_text(frame, topics, notices)
            if part is None or part.topic not in topics:
                continue
            defined = self._defined.get(part.topic)
            if defined is None:
                self._not_ours(part)
                continue
            instrument, scale = defined
            if part.topic not in batches:
                batches[part.topic] = empty_batch(instrument, scale, "live", received_ns)
            if not self._judge(batches[part.topic], part, instrument):
                self._unreadable(part.topic, notices)
        return list(batches.values())

    def _trade_text(
        self, frame: bytes, topics: set[str], notices: list[Notice]
    ) -> TradeFrame[str] | None:
        """The frame with its numbers as text; a number sent as a number was never documented."""
        try:
            return decode_trades_text(frame)
        except UNREADABLE:
            topic = _topic(frame)
            if topic in topics:
                self._unreadable(topic, notices)
            return None

    def _not_ours(self, part: TradeFrame[str]) -> None:
        if part.topic.startswith(TRADES):
            for _ in part.data:
                self.counts.reject("unknown_symbol")
        else:
            self.counts.ignored += 1

    def _judge(self, batch: TradeBatch, part: TradeFrame[str], instrument: Instrument) -> bool:
        before, readable = len(batch.rejected), True
        for row in part.data:
            late = part.ts + FUTURE_TOLERANCE_MS < row.T
            readable &= judge_into(batch, row, instrument, "from_future" if late else "")
        for _, reason in batch.rejected[before:]:
            self.counts.reject(reason)
        self.seen_ms = max(self.seen_ms, part.ts)
        return readable

    def _unreadable(self, topic: str, notices: list[Notice]) -> None:
        """Trades may have been in it, and nothing but this notice tells of their loss."""
        self.counts.malformed += 1
        defined = self._defined.get(topic)
        notices.append(Lost(() if defined is None else (defined[0].name,)))

    def _other(self, frame: bytes, closed: list[KlineClosed], notices: list[Notice]) -> str:
        """A candle, an answer, another topic, or not readable.

        Returns the topic of a trade frame that has to be read row by row, else "".
        """
        try:
            candles = decode_candle(frame)
        except UNREADABLE:
            return self._words(frame, notices)
        self._candles(candles, closed)
        return ""

    def _words(self, frame: bytes, notices: list[Notice]) -> str:
        try:
            control = decode_control(frame)
        except UNREADABLE:
            self._unreadable("", notices)
            return ""
        if control.topic.startswith(TRADES):
            return control.topic
        if control.topic.startswith(CANDLES):
            self.counts.malformed += 1
        elif control.topic:
            self.counts.ignored += 1
        else:
            self._answer(control, notices)
        return ""

    def _answer(self, control: Control, notices: list[Notice]) -> None:
        already = ALREADY.fullmatch(control.ret_msg)
        if control.op in {"ping", "pong"}:
            notices.append(Pong())
        elif already is not None:
            notices.append(Refused(control.req_id, already.group(1)))
        elif control.success is False:
            notices.append(Refused(control.req_id))
        elif control.op in {"subscribe", "unsubscribe"} or control.type == "COMMAND_RESP":
            notices.append(Acked(control.req_id))
        else:
            self.counts.ignored += 1

    def _candles(self, frame: CandleFrame, closed: list[KlineClosed]) -> None:
        """Keep closed one-minute candles; any candle tells the time."""
        defined = self._defined.get(frame.topic)
        if defined is None:
            self.counts.ignored += 1
            return
        self.seen_ms = max(self.seen_ms, frame.ts)
        for body in frame.data:
            if body.confirm and body.interval == "1":
                try:
                    closed.append(_candle(body).counted(defined[0]))
                except (MalformedFrameError, OffGridError):
                    self.counts.malformed += 1


def _topic(frame: bytes) -> str:
    try:
        return decode_control(frame).topic
    except UNREADABLE:
        return ""


def _candle(body: CandleBody) -> Candle:
    return Candle(
        start_ms=body.start,
        open=number_of(body.open),
        high=number_of(body.high),
        low=number_of(body.low),
        close=number_of(body.close),
        volume=number_of(body.volume),
        quote_volume=number_of(body.turnover),
    )
