"""What the simulated venue lists: names and steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orderflow.errors import ConfigError

VENUE_MARKETS = {"binance": ("spot", "perp"), "bybit": ("spot", "perp")}
_STABLE = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDE", "USD1", "USDP", "DAI", "USD")
QUOTES = (*_STABLE, "EUR", "TRY", "BRL", "JPY", "GBP", "AUD", "BTC", "ETH", "BNB", "SOL", "XRP")
_NAME = re.compile(r"(binance|bybit):(spot|perp):([^:/\s\"\\]{1,40})")


@dataclass(frozen=True, slots=True)
class TapeInstrument:
    """One listed market. Steps are decimal strings; `places` are the decimals the venue prints.

    `price_digits` and `qty_digits` are the decimals kept in a tape's integers: a price column holds
    `price * 10**price_digits`.
    """

    venue: str
    market: str
    symbol: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    price_digits: int
    qty_digits: int
    price_places: int
    qty_places: int

    @property
    def name(self) -> str:
        """Canonical name, for example `binance:spot:BTCUSDT`."""
        return f"{self.venue}:{self.market}:{self.symbol}"

    @property
    def host(self) -> str:
        """The simulated host that serves it."""
        if self.venue == "bybit":
            return "bybit"
        return "binance_spot" if self.market == "spot" else "binance_usdm"

    def renamed(self, name: str) -> TapeInstrument:
        """The same steps under another canonical name (to replay one market as another)."""
        venue, market, symbol = parse_name(name)
        base, quote = split_symbol(symbol)
        return replace(self, venue=venue, market=market, symbol=symbol, base=base, quote=quote)


def parse_name(name: str) -> tuple[str, str, str]:
    """`venue:market:SYMBOL` in parts; ConfigError names the form."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigError(
            f"{name[:60]!r} is no instrument: use venue:market:SYMBOL with venue binance or bybit "
            "and market spot or perp, for example binance:spot:BTCUSDT"
        )
    return match[1], match[2], match[3]


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote of a joined symbol; an unknown quote is taken as its last three letters."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return symbol[:-3] or symbol, symbol[-3:]
