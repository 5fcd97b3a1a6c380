"""A scripted agent: it answers every question through real MCP calls and nothing else.

It is the proof that the tools suffice, and an upper bound for accuracy, not a model of one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from evaluation.questions import Question
from evaluation.runner import Session

DATE = "2024-01-01T"
SYMBOL = {"symbol": "BTCUSDT"}
MIDNIGHT = "2024-01-02T00:00:00.000Z"
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240}
Bar = dict[str, Any]
Solver = Callable[[Session], Awaitable[str]]


async def answer(question: Question, session: Session) -> str:
    """The answer, found by the solver of this question."""
    return await SOLVERS[question.id](session)


def after(start: str, minutes: int) -> str:
    """A moment so many minutes after another; the end of the day is the next midnight."""
    at = int(start[11:13]) * 60 + int(start[14:16]) + minutes
    return MIDNIGHT if at >= 1_440 else f"{DATE}{at // 60:02d}:{at % 60:02d}:00.000Z"


def hhmm(bar: Bar) -> str:
    """When a bar begins."""
    return str(bar["period_start"][11:16])


def number(bar: Bar, name: str) -> Decimal:
    """One figure of a bar."""
    return Decimal(bar[name])


def most(bars: Sequence[Bar], name: str) -> Bar:
    """The bar with the largest figure."""
    return max(bars, key=lambda bar: number(bar, name))


def least(bars: Sequence[Bar], name: str) -> Bar:
    """The bar with the smallest figure."""
    return min(bars, key=lambda bar: number(bar, name))


def half_up(value: Decimal, places: int) -> str:
    """Rounded as people round."""
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


async def bars(session: Session, timeframe: str, start: str, end: str) -> list[Bar]:
    """Footprint bars of [start, end); what an answer dropped is asked for again."""
    found: list[Bar] = []
    while True:
        asked = {"timeframe": timeframe, "start": start, "end": end}
        told = await session.call("get_footprint", **SYMBOL, **asked)
        found = [*told["bars"], *found]
        if "dropped" not in told:
            return found
        end = told["bars"][0]["period_start"]


async def day(session: Session, timeframe: str = "1h") -> list[Bar]:
    """The whole day."""
    return await bars(session, timeframe, f"{DATE}00:00:00.000Z", MIDNIGHT)


async def within(session: Session, bar: Bar, timeframe: str) -> list[Bar]:
    """The shorter bars of a longer one."""
    return await bars(session, timeframe, bar["period_start"], bar["period_end"])


async def whole(session: Session) -> Bar:
    """The profile of the day, which is the rolling one at its end."""
    return await session.call("get_volume_profile", **SYMBOL, timeframe="1d")


async def hour(session: Session, start: str, timeframe: str = "1h") -> Bar:
    """One aligned window."""
    begin = f"{DATE}{start}:00.000Z"
    return (await bars(session, timeframe, begin, after(begin, MINUTES[timeframe])))[0]


async def busiest_inside(session: Session, timeframe: str) -> Bar:
    """The busiest part of the busiest hour."""
    found = await within(session, most(await day(session), "total_volume"), timeframe)
    return most(found, "total_volume")


async def busiest_five(session: Session) -> Bar:
    """The busiest five minutes of the busiest hour."""
    return await busiest_inside(session, "5m")


async def busiest_quarter(session: Session) -> Bar:
    """The busiest quarter of the busiest hour."""
    return await busiest_inside(session, "15m")


async def at_high(session: Session) -> Bar:
    """The five minutes with the day's high."""
    return most(await within(session, most(await day(session), "high"), "5m"), "high")


async def crowded_minute(session: Session) -> Bar:
    """The minute with most trades of the hour with most trades."""
    found = await within(session, most(await day(session), "total_trades"), "1m")
    return most(found, "total_trades")


async def sold_minute(session: Session) -> Bar:
    """The minute most sold of the hour most sold."""
    return least(await within(session, least(await day(session), "delta"), "1m"), "delta")


async def quarter(session: Session) -> str:
    block = most(await day(session, "4h"), "total_volume")
    return str(most(await within(session, block, "15m"), "total_volume")["delta"])


async def sold_row(session: Session) -> str:
    """Rows of five minutes at their full number."""
    bar = await busiest_five(session)
    asked = {"timeframe": "5m", "start": bar["period_start"], "end": bar["period_end"]}
    told = await session.call("get_footprint", **SYMBOL, **asked, detail="rows")
    if "dropped" in told:
        raise LookupError("rows were dropped")
    return str(max(told["bars"][0]["rows"], key=lambda row: Decimal(row[2]))[0])


async def poc_at_low(session: Session) -> str:
    lowest = least(await day(session), "low")
    return str(least(await within(session, lowest, "5m"), "low")["poc"])


async def share(session: Session) -> str:
    busy = number(most(await day(session), "total_volume"), "total_volume")
    return half_up(busy * 100 / Decimal((await whole(session))["total_volume"]), 2)


async def disagreeing(session: Session) -> str:
    found = await bars(session, "5m", f"{DATE}12:00:00.000Z", f"{DATE}16:00:00.000Z")
    wrong = [(number(b, "delta") > 0) != (number(b, "close") > number(b, "open")) for b in found]
    return str(sum(wrong))


async def run_of_buyers(session: Session) -> str:
    best = run = 0
    for bar in await day(session, "15m"):
        run = run + 1 if number(bar, "delta") > 0 else 0
        best = max(best, run)
    return str(best)


async def noon(session: Session) -> str:
    small, large = await hour(session, "12:00"), await hour(session, "12:00", "4h")
    low, high = number(small, "val"), number(small, "vah")
    return "yes" if number(large, "val") <= low and high <= number(large, "vah") else "no"


async def value_jump(session: Session) -> str:
    found = await bars(session, "15m", f"{DATE}12:00:00.000Z", MIDNIGHT)
    return hhmm(next(b for a, b in pairwise(found) if number(b, "val") > number(a, "vah")))


async def against(session: Session) -> str:
    found = (await session.call("compare", **SYMBOL, timeframe="1h"))["windows"]
    return str(Decimal(found["delta_now"]) - Decimal(found["delta_before"]))


async def since_noon(session: Session) -> str:
    moved = []
    for start in ("12:00", "18:00"):
        told = await session.call("get_changes", **SYMBOL, since=f"{DATE}{start}:00Z")
        moved.append(next(Decimal(c["change"]) for c in told["changes"] if c["name"] == "poc"))
    return str(moved[0] - moved[1])


async def halves(session: Session) -> str:
    deltas = [number(bar, "delta") for bar in await day(session)]
    return str(sum(deltas[12:]) - sum(deltas[:12]))


async def buyers_block(session: Session) -> str:
    def ratio(bar: Bar) -> Decimal:
        return number(bar, "buy_volume") / number(bar, "sell_volume")

    block = max(await day(session, "4h"), key=ratio)
    return hhmm(max(await within(session, block, "15m"), key=ratio))


async def sell_size(session: Session) -> str:
    calm = least(await day(session), "total_trades")
    asked = {"period": "1h", "start": calm["period_start"], "end": calm["period_end"]}
    told = await session.call("get_order_flow", **SYMBOL, **asked)
    return half_up(Decimal(told["items"][0]["avg_trade_size"]["sell"]), 7)


async def cvd(session: Session) -> str:
    return str((await session.call("get_order_flow", **SYMBOL))["cumulative_delta"])


async def ticks_above_poc(session: Session) -> str:
    tick = Decimal((await session.call("list_symbols"))["symbols"][0]["tick_size"])
    profile = await whole(session)
    return str(int((Decimal(profile["close"]) - Decimal(profile["poc"])) / tick))


async def large_events(session: Session) -> list[Bar]:
    """Every event of the day, page by page; a page's dropped tail comes with a smaller page."""
    found: list[Bar] = []
    cursor: dict[str, str] = {}
    while True:
        told = await session.call("get_events", **SYMBOL, kinds="large_trade", limit=10, **cursor)
        if "dropped" in told:
            raise LookupError("events were dropped")
        found += told["events"]
        if told["next_cursor"] is None:
            return found
        cursor = {"cursor": told["next_cursor"]}


def notional(event: Bar) -> Decimal:
    return Decimal(event["evidence"]["notional"])


async def event_count(session: Session) -> str:
    told = await session.call("get_base_rates", **SYMBOL, kind="large_trade", timeframe="1m")
    return str(told["count"])


async def largest_notional(session: Session) -> str:
    return half_up(max(map(notional, await large_events(session))), 2)


async def after_largest(session: Session) -> str:
    event = max(await large_events(session), key=notional)
    five = next(one for one in event["outcomes"] if one["minutes"] == 5)
    return half_up(Decimal(five["change_pct"]), 4)


async def europe(session: Session) -> str:
    levels = (await session.call("get_key_levels", **SYMBOL))["levels"]
    high = next(Decimal(one["price"]) for one in levels if one["name"] == "europe_high")
    return str(high - number(await hour(session, "12:00"), "poc"))


async def below_balance(session: Session) -> str:
    levels = (await session.call("get_key_levels", **SYMBOL))["levels"]
    low = next(Decimal(one["price"]) for one in levels if one["name"] == "initial_balance_low")
    return hhmm(next(bar for bar in (await day(session))[1:] if number(bar, "low") < low))


async def vwap(session: Session) -> str:
    return str((await whole(session))["facts"]["vwap"])


async def fallen_back(session: Session) -> str:
    bar = await busiest_quarter(session)
    return str(number(bar, "max_delta") - number(bar, "delta"))


async def rising_fives(session: Session) -> str:
    found = await bars(session, "5m", f"{DATE}23:00:00.000Z", MIDNIGHT)
    return str(sum(number(bar, "delta") > 0 for bar in found))


async def widest(session: Session) -> str:
    def width(bar: Bar) -> Decimal:
        return number(bar, "high") - number(bar, "low")

    bar = max(await within(session, max(await day(session), key=width), "5m"), key=width)
    return "buyers" if number(bar, "delta") > 0 else "sellers"


async def place(session: Session) -> str:
    return str((await whole(session))["facts"]["place"]).removesuffix("_value")


def of(find: Callable[[Session], Awaitable[Bar]], name: str) -> Solver:
    """One figure of a bar that has to be found."""

    async def solve(session: Session) -> str:
        bar = await find(session)
        return hhmm(bar) if name == "time" else str(bar[name])

    return solve


def of_hour(pick: Callable[[Sequence[Bar], str], Bar], by: str, name: str) -> Solver:
    """One figure of the hour with the most or least of something."""

    async def find(session: Session) -> Bar:
        return pick(await day(session), by)

    return of(find, name)


def of_all(find: Callable[[list[Bar]], Decimal | int]) -> Solver:
    """A figure of all hours."""

    async def solve(session: Session) -> str:
        return str(find(await day(session)))

    return solve


async def poc_step(session: Session) -> str:
    profile = await whole(session)
    return str(number(await hour(session, "23:00"), "poc") - number(profile, "poc"))


async def spread(session: Session) -> str:
    deltas = [number(bar, "delta") for bar in await day(session, "15m")]
    return str(max(deltas) - min(deltas))


SOLVERS: dict[str, Solver] = {
    "busiest-hour": of_hour(most, "total_volume", "time"),
    "sold-hour": of_hour(least, "delta", "time"),
    "rising-hours": of_all(lambda found: sum(number(bar, "delta") > 0 for bar in found)),
    "disagreeing-fives": disagreeing,
    "longest-run": run_of_buyers,
    "delta-spread": spread,
    "busiest-share": share,
    "busiest-poc": of(busiest_quarter, "poc"),
    "busiest-five": of(busiest_five, "time"),
    "busiest-five-delta": of(busiest_five, "delta"),
    "busiest-five-sold-row": sold_row,
    "sold-minute": of(sold_minute, "time"),
    "sold-minute-volume": of(sold_minute, "total_volume"),
    "quarter-of-block": quarter,
    "poc-at-low": poc_at_low,
    "value-low-at-high": of(at_high, "val"),
    "poc-step": poc_step,
    "noon-in-block": noon,
    "value-jump": value_jump,
    "hour-against-hour": against,
    "poc-since-noon": since_noon,
    "half-days": halves,
    "buyers-block": buyers_block,
    "calm-sell-size": sell_size,
    "day-cvd": cvd,
    "first-id": of(crowded_minute, "first_id"),
    "day-trades": of_all(lambda found: sum(int(bar["total_trades"]) for bar in found)),
    "above-poc-ticks": ticks_above_poc,
    "large-trades": event_count,
    "largest-notional": largest_notional,
    "after-largest": after_largest,
    "europe-over-noon": europe,
    "below-balance": below_balance,
    "day-vwap": vwap,
    "fallen-back": fallen_back,
    "last-hour-fives": rising_fives,
    "widest-five-side": widest,
    "last-price-place": place,
}
