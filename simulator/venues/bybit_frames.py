"""Bybit v5's JSON: trades and candles of spot and linear."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from simulator.candles import Candle
from simulator.columns import BLOCK, EMIT, KEY, PRICE, RPI, SEQ, Row
from simulator.decimals import TextOf, text_of
from simulator.tape import Track
from simulator.venues.streams import Payloads, Renderer, ascii_json

ROWS_PER_FRAME = 1024
_SIDES = ("Sell", "Buy")
_BOOLEANS = ("false", "true")
_DIRECTIONS = {
    (True, False): "PlusTick",
    (False, True): "MinusTick",
}


class BybitText:
    """Decimal texts as Bybit prints them: bare on spot, the symbol's own places on linear."""

    def __init__(self, track: Track) -> None:
        item = track.instrument
        spot = item.market == "spot"
        self.symbol = ascii_json(item.symbol)
        self.price = TextOf(item.price_digits, None if spot else item.price_places)
        self.qty = TextOf(item.qty_digits, None if spot else item.qty_places)
        self._quote_digits = item.price_digits + item.qty_digits

    def quote(self, value: int) -> str:
        """Turnover, never rounded."""
        return text_of(value, self._quote_digits, None)


def frames_of(rows: list[Row]) -> Iterator[list[Row]]:
    """The fills of one taker order (one `seq`) in one frame, or in several if they are many."""
    for _, group in groupby(rows, key=lambda row: (row[EMIT], row[SEQ])):
        fills = list(group)
        for start in range(0, len(fills), ROWS_PER_FRAME):
            yield fills[start : start + ROWS_PER_FRAME]


def trades(track: Track, text: BybitText) -> Renderer:
    """`publicTrade` messages of a market."""
    return _spot(text) if track.instrument.market == "spot" else _linear(track, text)


def _spot(text: BybitText) -> Renderer:
    price, qty, symbol = text.price, text.qty, text.symbol

    def render(rows: list[Row], micro: bool) -> Payloads:
        frames = []
        for fills in frames_of(rows):
            data = ",".join(
                f'{{"i":"{key}","T":{event},"p":"{price[p]}","v":"{qty[q]}","S":"{_SIDES[buyer]}",'
                f'"seq":{seq},"s":"{symbol}","BT":{_BOOLEANS[kind == BLOCK]},'
                f'"RPI":{_BOOLEANS[kind == RPI]}}}'
                for _, event, p, q, buyer, key, _, _, seq, kind in fills
            )
            at = fills[0][EMIT]
            frames.append(
                (
                    at,
                    f'{{"topic":"publicTrade.{symbol}","ts":{at},"type":"snapshot","data":[{data}]}}',
                )
            )
        return frames

    return render


def _linear(track: Track, text: BybitText) -> Renderer:
    price, qty, symbol, uuid_of = text.price, text.qty, text.symbol, track.uuid_of

    def render(rows: list[Row], micro: bool) -> Payloads:
        frames = []
        before = _price_before(track, rows[0])
        direction = "ZeroPlusTick"
        for fills in frames_of(rows):
            cells = []
            for _, event, p, q, buyer, key, _, _, seq, kind in fills:
                direction = _DIRECTIONS.get((p > before, p < before)) or _zero(direction)
                before = p
                cells.append(
                    f'{{"T":{event},"s":"{symbol}","S":"{_SIDES[buyer]}","v":"{qty[q]}",'
                    f'"p":"{price[p]}","L":"{direction}","i":"{uuid_of(key)}",'
                    f'"BT":{_BOOLEANS[kind == BLOCK]},"RPI":{_BOOLEANS[kind == RPI]},"seq":{seq}}}'
                )
            at = fills[0][EMIT]
            frames.append(
                (
                    at,
                    f'{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{at},'
                    f'"data":[{",".join(cells)}]}}',
                )
            )
        return frames

    return render


def _zero(direction: str) -> str:
    return direction if direction.startswith("Zero") else f"Zero{direction}"


def _price_before(track: Track, row: Row) -> int:
    place = track.given.find(KEY, row[KEY])
    if place <= track.given.dropped:
        return row[PRICE]
    return int(track.given.column(PRICE, place - 1, place)[0])


def candle_message(text: BybitText, interval: str, candle: Candle, at_ms: int, final: bool) -> str:
    """A `kline` message; Bybit says nothing about takers."""
    return (
        f'{{"topic":"kline.{interval}.{text.symbol}","data":[{{"start":{candle.start_ms},'
        f'"end":{candle.end_ms - 1},"interval":"{interval}","open":"{text.price[candle.open]}",'
        f'"close":"{text.price[candle.close]}","high":"{text.price[candle.high]}",'
        f'"low":"{text.price[candle.low]}","volume":"{text.qty[candle.volume]}",'
        f'"turnover":"{text.quote(candle.quote)}","confirm":{_BOOLEANS[final]},'
        f'"timestamp":{at_ms}}}],"ts":{at_ms},"type":"snapshot"}}'
    )


def candle_row(text: BybitText, candle: Candle) -> list[str]:
    """A row of REST `kline`."""
    return [
        str(candle.start_ms),
        text.price[candle.open],
        text.price[candle.high],
        text.price[candle.low],
        text.price[candle.close],
        text.qty[candle.volume],
        text.quote(candle.quote),
    ]
