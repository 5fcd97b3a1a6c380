"""Every spelling of a symbol, and which instruments a question means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orderflow.errors import InvalidParameterError, UnknownSymbolError, ValidationError
from orderflow.instrument import Instrument, Market

LONGEST = 40
ACCEPTED = "BTCUSDT, BTC/USDT, BTC/USDT:USDT, VENUE:BTCUSDT.P, venue:perp:BTCUSDT"
AGGREGATED = "aggregated"
MARKET_WORDS = {
    "spot": Market.SPOT,
    "perp": Market.PERP,
    "futures": Market.PERP,
    "linear": Market.PERP,
    "swap": Market.PERP,
}
SPELLING = re.compile(
    r"(?:(?P<venue>[A-Za-z]{2,16})(?:[-:](?P<market>spot|perp|futures|linear|swap))?:)?"
    r"(?P<base>[A-Za-z0-9]{1,20})(?:[/_-](?P<quote>[A-Za-z0-9]{2,10})(?::(?P<settle>[A-Za-z0-9]{2,10}))?)?"
    r"(?P<perp>\.[Pp])?"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The instruments of one question; `exchange` is a venue or `aggregated`."""

    symbol: str
    exchange: str
    market: str
    instruments: tuple[Instrument, ...]


def resolve(
    text: str,
    instruments: Sequence[Instrument],
    exchange: str | None = None,
    market: str | None = None,
) -> Selection:
    """What a symbol means. A bare one means perp where listed, else spot, on all its venues;
    `VENUE:SYMBOL` without `.P` is a chart's name for spot.

    InvalidParameterError: not a symbol. UnknownSymbolError: nobody lists it; names the nearest.
    ValidationError: a venue or market that does not fit, with the allowed ones.
    """
    found = SPELLING.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise InvalidParameterError(f"symbol has no known form; accepted: {ACCEPTED}")
    base, quote = found["base"].upper(), (found["quote"] or "").upper()
    named = _of_name(base, quote, instruments)
    venue = _one("exchange", exchange, found["venue"], _venues(instruments))
    wanted = _market(market, found["market"], perp=bool(found["perp"] or found["settle"]))
    if wanted is None and quote and found["settle"] is None and "/" in text:
        wanted = Market.SPOT.value
    chosen = [i for i in named if venue in (None, i.venue)]
    if not chosen:
        allowed = ", ".join(_venues(named))
        raise ValidationError(
            f"{named[0].symbol} is not collected on that exchange; it is on: {allowed}"
        )
    markets = {str(i.market) for i in chosen}
    if wanted is None:
        plain_chart_name = found["venue"] is not None and "spot" in markets
        wanted = "perp" if "perp" in markets and not plain_chart_name else "spot"
    if wanted != "all":
        chosen = [i for i in chosen if i.market == wanted]
        if not chosen:
            names = ", ".join(sorted(markets))
            raise ValidationError(
                f"{named[0].symbol} is not collected on that market; allowed: {names}"
            )
    ordered = tuple(sorted(chosen, key=lambda i: i.name))
    return Selection(named[0].symbol, venue or AGGREGATED, wanted, ordered)


def _of_name(base: str, quote: str, instruments: Sequence[Instrument]) -> list[Instrument]:
    """Instruments of this symbol; errors list what could have been meant."""
    joined = base + quote
    found = [i for i in instruments if i.symbol == joined]
    if found:
        return found
    pairs = sorted({i.symbol for i in instruments if i.base == joined})
    if len(pairs) == 1:
        return [i for i in instruments if i.symbol == pairs[0]]
    if pairs:
        raise UnknownSymbolError(
            f"{joined} alone is ambiguous; say which pair: {', '.join(pairs)}", pairs
        )
    known = sorted({i.symbol for i in instruments})
    near = difflib.get_close_matches(joined, known, n=5, cutoff=0.5) or known[:10]
    listed = ", ".join(near) if near else "none is collected yet"
    raise UnknownSymbolError(f"unknown symbol; nearest collected ones: {listed}", near)


def _venues(instruments: Iterable[Instrument]) -> list[str]:
    return sorted({i.venue for i in instruments})


def _one(what: str, asked: str | None, spelled: str | None, allowed: Sequence[str]) -> str | None:
    """One of the allowed names, given as a parameter or inside the symbol, or None."""
    given = [name.lower() for name in (asked, spelled) if name]
    names = {name for name in given if name not in (AGGREGATED, "all")}
    if not names:
        return None
    if len(names) > 1:
        raise ValidationError(f"{what} and symbol name different ones")
    name = names.pop()
    if name not in allowed:
        raise ValidationError(f"unknown {what}; allowed: {', '.join([*allowed, AGGREGATED])}")
    return name


def _market(asked: str | None, spelled: str | None, *, perp: bool) -> str | None:
    inside = str(MARKET_WORDS[spelled.lower()]) if spelled else ("perp" if perp else None)
    if asked is None or asked == "":
        return inside
    if asked not in {"spot", "perp", "all"}:
        raise ValidationError("unknown market; allowed: spot, perp, all")
    if inside is not None and inside != asked:
        raise ValidationError("market and symbol name different ones")
    return asked
