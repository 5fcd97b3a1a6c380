"""The questions. Every answer is computed from the tape by a function of its own; the committed
answers in answers.json are compared with these functions wherever the tape is present.

Times are UTC of 2024-01-01. `form` says how an answer is to be written: `number` (compared as an
exact decimal), `time` (HH:MM) or `word`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import pairwise
from typing import Literal

from evaluation.oracle import DAY, HOUR, MINUTE, START, Bar, Day, clock, coins, price

Form = Literal["number", "time", "word"]
FIVE, QUARTER, FOUR = 5 * MINUTE, 15 * MINUTE, 4 * HOUR
HINTS = {
    "number": "Answer with one number and nothing else.",
    "time": "Answer with one time as HH:MM and nothing else.",
    "word": "Answer with one word and nothing else.",
}
ABOUT = (
    "Use the WADM tools. All times are UTC on 2024-01-01, the symbol is BTCUSDT, windows are "
    "aligned (an hour begins at HH:00) unless the question says rolling, volumes are in BTC, and a "
    "time names the beginning of a window."
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `expected` finds its answer in the tape."""

    id: str
    text: str
    form: Form
    expected: Callable[[Day], str]

    @property
    def prompt(self) -> str:
        """All that an agent is told."""
        return f"{ABOUT}\n\n{self.text} {HINTS[self.form]}"


@cache
def hours(day: Day) -> list[Bar]:
    """The day's 24 hours."""
    return day.bars(HOUR)


def busiest(bars: Sequence[Bar]) -> Bar:
    """With the largest volume."""
    return max(bars, key=lambda bar: bar.volume)


def most_sold(bars: Sequence[Bar]) -> Bar:
    """With the most negative delta."""
    return min(bars, key=lambda bar: bar.delta)


def inside(day: Day, bar: Bar, length: int, step: int) -> list[Bar]:
    """The shorter windows of a longer one."""
    return day.bars(step, bar.start, bar.start + length)


def rounded(value: Decimal, places: int) -> str:
    """Half up."""
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def poc(day: Day, start: int, length: int, size: int = 1) -> int:
    """The POC row of a window."""
    return day.value(start, start + length, size)[0]


def _after_largest(day: Day) -> str:
    minute, _ = max(day.large(), key=lambda one: day.ticks[one[1]] * day.lots[one[1]])
    then, later = day.bar(minute, MINUTE).close, day.bar(minute + FIVE, MINUTE).close
    return rounded(Decimal(later - then) * 100 / then, 4)


def _below_balance(day: Day) -> str:
    low = hours(day)[0].low
    return clock(next(bar.start for bar in hours(day)[1:] if bar.low < low))


def _first_value_above(day: Day) -> str:
    starts = range(day.at("12:00"), START + DAY, QUARTER)
    ends = [(at, *day.value(at, at + QUARTER, 1)) for at in starts]
    return clock(next(now[0] for old, now in pairwise(ends) if now[3] > old[2]))


def _calmest_sell_size(day: Day) -> str:
    bar = min(hours(day), key=lambda one: one.trades)
    return rounded(Decimal(bar.sell) / 100_000 / bar.sells, 7)


def _largest_sell_row(day: Day) -> str:
    bar = busiest(inside(day, busiest(hours(day)), HOUR, FIVE))
    rows = day.rows(bar.start, bar.start + FIVE, 1)
    return str(max(rows, key=lambda row: rows[row][1]))


def _poc_of_low(day: Day) -> str:
    bar = min(day.bars(FIVE), key=lambda one: one.low)
    return str(poc(day, bar.start, FIVE))


def _inside_value(day: Day) -> str:
    noon = day.at("12:00")
    _, high, low = day.value(noon, noon + HOUR, 1)
    _, top, bottom = day.value(noon, noon + FOUR, 1)
    return "yes" if bottom <= low and high <= top else "no"


def _disagreeing(day: Day) -> str:
    bars = day.bars(FIVE, day.at("12:00"), day.at("16:00"))
    return str(sum((bar.delta > 0) != (bar.close > bar.open) for bar in bars))


def _longest_run(day: Day) -> str:
    best = run = 0
    for bar in day.bars(QUARTER):
        run = run + 1 if bar.delta > 0 else 0
        best = max(best, run)
    return str(best)


def _spread(day: Day) -> str:
    deltas = [bar.delta for bar in day.bars(QUARTER)]
    return coins(max(deltas) - min(deltas))


def _halves(day: Day) -> str:
    deltas = [bar.delta for bar in hours(day)]
    return coins(sum(deltas[12:]) - sum(deltas[:12]))


def _value_low_at_high(day: Day) -> str:
    start = max(day.bars(FIVE), key=lambda bar: bar.high).start
    return str(day.value(start, start + FIVE, 1)[2])


def _buyers_hour(day: Day) -> str:
    def ratio(bar: Bar) -> Decimal:
        return Decimal(bar.buy) / bar.sell

    block = max(day.bars(FOUR), key=ratio)
    return clock(max(inside(day, block, FOUR, QUARTER), key=ratio).start)


def _first_id(day: Day) -> str:
    hour = max(hours(day), key=lambda bar: bar.trades)
    return str(max(inside(day, hour, HOUR, MINUTE), key=lambda bar: bar.trades).first)


def _europe(day: Day) -> str:
    high = max(bar.high for bar in hours(day)[8:17])
    return price(high - 100 * poc(day, day.at("12:00"), HOUR))


def _busiest_quarter(day: Day) -> Bar:
    return busiest(inside(day, busiest(hours(day)), HOUR, QUARTER))


def _fallen_back(day: Day) -> str:
    bar = _busiest_quarter(day)
    return coins(bar.high_delta - bar.delta)


def _widest_side(day: Day) -> str:
    def width(bar: Bar) -> int:
        return bar.high - bar.low

    bar = max(inside(day, max(hours(day), key=width), HOUR, FIVE), key=width)
    return "buyers" if bar.delta > 0 else "sellers"


def _share(day: Day) -> str:
    bars = hours(day)
    return rounded(Decimal(busiest(bars).volume) * 100 / sum(bar.volume for bar in bars), 2)


def _asked(id: str, form: Form, expected: Callable[[Day], str], text: str) -> Question:
    return Question(id, text, form, expected)


QUESTIONS: tuple[Question, ...] = (
    _asked("busiest-hour", "time", lambda d: clock(busiest(hours(d)).start),
           "Which hour had the largest volume?"),
    _asked("sold-hour", "time", lambda d: clock(most_sold(hours(d)).start),
           "Which hour had the most negative delta?"),
    _asked("rising-hours", "number", lambda d: str(sum(b.delta > 0 for b in hours(d))),
           "How many of the 24 hours had a positive delta?"),
    _asked("disagreeing-fives", "number", _disagreeing,
           "Between 12:00 and 16:00, in how many of the 5-minute windows did the sign of the delta "
           "disagree with the sign of close minus open (an unchanged price counts as not up)?"),
    _asked("longest-run", "number", _longest_run,
           "What is the largest number of 15-minute windows in a row, over the whole day, that all "
           "had a positive delta?"),
    _asked("delta-spread", "number", _spread,
           "Over all 15-minute windows of the day: what is the largest delta minus the smallest?"),
    _asked("busiest-share", "number", _share,
           "What percentage of the whole day's volume was traded in the hour with the largest "
           "volume? Round to two decimals."),
    _asked("busiest-poc", "number",
           lambda d: str(poc(d, _busiest_quarter(d).start, QUARTER)),
           "What is the POC of the 15-minute window with the largest volume inside the hour with "
           "the largest volume?"),
    _asked("busiest-five", "time",
           lambda d: clock(busiest(inside(d, busiest(hours(d)), HOUR, FIVE)).start),
           "Inside the hour with the largest volume, which 5-minute window had the most volume?"),
    _asked("busiest-five-delta", "number",
           lambda d: coins(busiest(inside(d, busiest(hours(d)), HOUR, FIVE)).delta),
           "Take the 5-minute window with the largest volume inside the hour with the largest "
           "volume. What was its delta?"),
    _asked("busiest-five-sold-row", "number", _largest_sell_row,
           "Take the 5-minute window with the largest volume inside the hour with the largest "
           "volume. At which row (low price, rows of 1 USDT) was most sold by aggressors?"),
    _asked("sold-minute", "time",
           lambda d: clock(most_sold(inside(d, most_sold(hours(d)), HOUR, MINUTE)).start),
           "Inside the hour with the most negative delta, which minute had the most negative "
           "delta?"),
    _asked("sold-minute-volume", "number",
           lambda d: coins(most_sold(inside(d, most_sold(hours(d)), HOUR, MINUTE)).volume),
           "Take the minute with the most negative delta inside the hour with the most negative "
           "delta. What was its volume?"),
    _asked("quarter-of-block", "number",
           lambda d: coins(busiest(inside(d, busiest(d.bars(FOUR)), FOUR, QUARTER)).delta),
           "Take the 4-hour window with the largest volume, and inside it the 15-minute window "
           "with the largest volume. What was that 15-minute window's delta?"),
    _asked("poc-at-low", "number", _poc_of_low,
           "What is the POC of the 5-minute window in which the day's lowest price was traded?"),
    _asked("value-low-at-high", "number", _value_low_at_high,
           "What is the VAL of the 5-minute window in which the day's highest price was traded "
           "first?"),
    _asked("poc-step", "number",
           lambda d: str(poc(d, d.at("23:00"), HOUR) - poc(d, START, DAY, 5)),
           "By how much is the POC of the 23:00 hour above the POC of the whole day?"),
    _asked("noon-in-block", "word", _inside_value,
           "Does the value area of the 12:00 hour lie wholly inside the value area of the 4-hour "
           "window that begins at 12:00? yes or no."),
    _asked("value-jump", "time", _first_value_above,
           "Which is the first 15-minute window that begins after 12:00 and whose VAL is above the "
           "VAH of the 15-minute window before it?"),
    _asked("hour-against-hour", "number",
           lambda d: coins(hours(d)[23].delta - hours(d)[22].delta),
           "What is the delta of the last rolling hour minus the delta of the rolling hour before "
           "it?"),
    _asked("poc-since-noon", "number",
           lambda d: str(poc(d, d.at("17:00"), HOUR) - poc(d, d.at("11:00"), HOUR)),
           "How much further has the POC of the rolling hour moved since 12:00 than since 18:00?"),
    _asked("half-days", "number", _halves,
           "What is the delta of the second half of the day minus the delta of the first half?"),
    _asked("buyers-block", "time", _buyers_hour,
           "Take the 4-hour window with the highest ratio of bought to sold volume. Which of its "
           "15-minute windows had the highest such ratio?"),
    _asked("calm-sell-size", "number", _calmest_sell_size,
           "What was the average size of a sell trade in the hour with the fewest trades? Round to "
           "seven decimals."),
    _asked("day-cvd", "number", lambda d: coins(sum(b.delta for b in hours(d))),
           "What is the cumulative delta since 00:00 at the end of the day?"),
    _asked("first-id", "number", _first_id,
           "What is the first trade id of the minute with the most trades inside the hour with the "
           "most trades?"),
    _asked("day-trades", "number", lambda d: str(sum(b.trades for b in hours(d))),
           "How many trades did the day have?"),
    _asked("above-poc-ticks", "number",
           lambda d: str(hours(d)[23].close - poc(d, START, DAY, 5) * 100),
           "How many ticks is the last price above the POC (low price of its row) of the day?"),
    _asked("large-trades", "number", lambda d: str(sum(1 for _ in d.large())),
           "How many events of the kind large_trade did the day have?"),
    _asked("largest-notional", "number",
           lambda d: rounded(Decimal(max(int(d.ticks[p]) * int(d.lots[p]) for _, p in d.large()))
                             / 10_000_000, 2),
           "What was the largest notional (USDT) of the day's large_trade events? Round to two "
           "decimals."),
    _asked("after-largest", "number", _after_largest,
           "By how many percent had the price changed five minutes after the large_trade event "
           "with the largest notional? Round to four decimals."),
    _asked("europe-over-noon", "number", _europe,
           "By how much is the high of the Europe session above the POC of the 12:00 hour?"),
    _asked("below-balance", "time", _below_balance,
           "Which is the first hour after the initial balance (the first hour of the day) that "
           "traded below the initial balance's low?"),
    _asked("day-vwap", "number",
           lambda d: rounded(Decimal(sum(b.quote for b in hours(d))) / 100
                             / sum(b.volume for b in hours(d)), 2),
           "What was the day's volume-weighted average price? Round to two decimals."),
    _asked("fallen-back", "number", _fallen_back,
           "Take the 15-minute window with the largest volume inside the hour with the largest "
           "volume. How far was its final delta below the highest delta it had reached?"),
    _asked("last-hour-fives", "number",
           lambda d: str(sum(b.delta > 0 for b in d.bars(FIVE, d.at("23:00"), START + DAY))),
           "How many of the twelve 5-minute windows of the last hour had a positive delta?"),
    _asked("widest-five-side", "word", _widest_side,
           "Take the 5-minute window with the widest range from low to high inside the hour with "
           "the widest range. Were its aggressors mostly buyers or sellers?"),
    _asked("last-price-place", "word",
           lambda d: "above" if hours(d)[23].close > d.value(START, START + DAY, 5)[1] * 100 + 499
           else "inside",
           "Is the last price above, inside or below the value area of the whole day?"),
)  # fmt: skip
