"""Binance's JSON: trades, aggregates and candles of spot and USD-M."""

from __future__ import annotations

from simulator.candles import Candle
from simulator.columns import ADL, INSURANCE_FUND, RPI, Row
from simulator.decimals import TextOf, text_of
from simulator.instrument import TapeInstrument
from simulator.venues.streams import Payloads, Renderer, ascii_json

SPOT_PLACES = 8
_KINDS = {ADL: "ADL", INSURANCE_FUND: "INSURANCE_FUND", RPI: "RPI"}
_MAKER = ("true", "false")
"""`m`, the buyer was the maker, by whether the taker bought."""


class BinanceText:
    """Decimal texts as Binance prints them: eight places on spot, the symbol's own on USD-M."""

    def __init__(self, item: TapeInstrument) -> None:
        spot = item.market == "spot"
        self.symbol = ascii_json(item.symbol)
        self.price_places = SPOT_PLACES if spot else item.price_places
        self.qty_places = SPOT_PLACES if spot else item.qty_places
        self.price = TextOf(item.price_digits, self.price_places)
        self.qty = TextOf(item.qty_digits, self.qty_places)
        self._quote_digits = item.price_digits + item.qty_digits
        self._quote_places = (
            SPOT_PLACES if spot else max(self._quote_digits, self.price_places + self.qty_places)
        )

    def quote(self, value: int) -> str:
        """A sum of price times quantity, never rounded."""
        return text_of(value, self._quote_digits, max(self._quote_places, self._quote_digits))


def aggregates(item: TapeInstrument, text: BinanceText) -> Renderer:
    """`aggTrade` events."""
    price, qty, symbol = text.price, text.qty, text.symbol

    def spot(rows: list[Row], micro: bool) -> Payloads:
        unit = "000" if micro else ""
        return [
            (
                at,
                f'{{"e":"aggTrade","E":{at}{unit},"s":"{symbol}","a":{key},"p":"{price[p]}",'
                f'"q":"{qty[q]}","f":{first},"l":{last},"T":{event}{unit},"m":{_MAKER[buyer]},'
                f'"M":true}}',
            )
            for at, event, p, q, buyer, key, first, last, _, _ in rows
        ]

    def usdm(rows: list[Row], micro: bool) -> Payloads:
        return [
            (
                at,
                f'{{"e":"aggTrade","E":{at},"a":{key},"s":"{symbol}","p":"{price[p]}",'
                f'"q":"{qty[q]}","nq":"{qty[0 if kind == RPI else q]}","f":{first},"l":{last},'
                f'"T":{event},"m":{_MAKER[buyer]},"st":1}}',
            )
            for at, event, p, q, buyer, key, first, last, _, kind in rows
        ]

    return spot if item.market == "spot" else usdm


def trades(item: TapeInstrument, text: BinanceText) -> Renderer:
    """`trade` events; USD-M names the kind in `X`."""
    price, qty, symbol = text.price, text.qty, text.symbol

    def spot(rows: list[Row], micro: bool) -> Payloads:
        unit = "000" if micro else ""
        return [
            (
                at,
                f'{{"e":"trade","E":{at}{unit},"s":"{symbol}","t":{key},"p":"{price[p]}",'
                f'"q":"{qty[q]}","T":{event}{unit},"m":{_MAKER[buyer]},"M":true}}',
            )
            for at, event, p, q, buyer, key, _, _, _, _ in rows
        ]

    def usdm(rows: list[Row], micro: bool) -> Payloads:
        return [
            (
                at,
                f'{{"e":"trade","E":{at},"T":{event},"s":"{symbol}","t":{key},"p":"{price[p]}",'
                f'"q":"{qty[q]}","X":"{_KINDS.get(kind, "MARKET")}","m":{_MAKER[buyer]}}}',
            )
            for at, event, p, q, buyer, key, _, _, _, kind in rows
        ]

    return spot if item.market == "spot" else usdm


def candle_event(text: BinanceText, interval: str, candle: Candle, at_ms: int, final: bool) -> str:
    """A `kline` event."""
    return (
        f'{{"e":"kline","E":{at_ms},"s":"{text.symbol}","k":{{"t":{candle.start_ms},'
        f'"T":{candle.end_ms - 1},"s":"{text.symbol}","i":"{interval}","f":{candle.first_id},'
        f'"L":{candle.last_id},"o":"{text.price[candle.open]}","c":"{text.price[candle.close]}",'
        f'"h":"{text.price[candle.high]}","l":"{text.price[candle.low]}",'
        f'"v":"{text.qty[candle.volume]}","n":{candle.trades},"x":{"true" if final else "false"},'
        f'"q":"{text.quote(candle.quote)}","V":"{text.qty[candle.buy_volume]}",'
        f'"Q":"{text.quote(candle.buy_quote)}","B":"0"}}}}'
    )


def candle_row(text: BinanceText, candle: Candle) -> list[int | str]:
    """A row of REST `klines`."""
    return [
        candle.start_ms,
        text.price[candle.open],
        text.price[candle.high],
        text.price[candle.low],
        text.price[candle.close],
        text.qty[candle.volume],
        candle.end_ms - 1,
        text.quote(candle.quote),
        candle.trades,
        text.qty[candle.buy_volume],
        text.quote(candle.buy_quote),
        "0",
    ]
