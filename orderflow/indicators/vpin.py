"""VPIN: volume-synchronised probability of informed trading, as streaming state.

Easley, López de Prado and O'Hara, Flow Toxicity and Liquidity in a High-Frequency World (2012),
with the true aggressor instead of bulk classification. A trade that is larger than the rest of a
bucket is split; the unfinished bucket is kept and never enters the value.

Bucket edges depend on all volume before them, so bars can't give it: the state follows the trades
in order, is kept in the checkpoint, and after a gap is worth nothing until all buckets are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from orderflow.errors import DomainError
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.order_flow import ratio

BUCKETS = 50
BUCKETS_PER_DAY = 50

CARD = RuleCard(
    name="vpin",
    version=1,
    family="toxicity",
    summary="Order-flow imbalance in volume time, with the true aggressor.",
    formula="sum over the newest n full buckets of |buy - sell| / sum of their volumes",
    units="0..1 to six places; n = 50 buckets of a fiftieth of the day's volume each",
    parameters=(
        Parameter("bucket_lots", "a fiftieth of the day's volume", "lots", "volume of one bucket"),
        Parameter("buckets", "50", "buckets", "how many full buckets the value looks back on"),
    ),
    ties="a bucket closes when it is exactly full; fewer than n buckets since a gap: null",
    edges=(
        ("A trade larger than the rest of a bucket is split, over many buckets if need be."),
        "The unfinished bucket never enters.",
        "After a gap there is no value until every bucket was filled anew.",
        ("A new bucket size holds from the next bucket on; volumes are kept with their buckets."),
    ),
    merging=("Not mergeable: streaming state, kept in the checkpoint; the same for any batching."),
    evidence="One-sided volume in the newest buckets.",
    not_evidence="A forecast of volatility: independent tests find it weak or mechanical.",
    source="Easley, Lopez de Prado and O'Hara 2012; wickra and vpin_lab (split) agree",
    example=Example(
        "The six trades, buckets of 5 lots, the newest 5.",
        (
            ("vpin", "0.680000"),
            ("imbalances", "3, 5, 3, 5, 1"),
            ("unfinished", "buy 0 sell 1"),
        ),
    ),
)


class Vpin(msgspec.Struct):
    """The state of one stream, in lots.

    `imbalances` and `volumes`: the newest full buckets, oldest first, at most `buckets` of them.
    `filled`: buckets filled since the begin or the last gap. `next_lots`: size from the next
    bucket on.
    """

    bucket_lots: int
    next_lots: int
    buckets: int = BUCKETS
    buy_lots: int = 0
    sell_lots: int = 0
    imbalances: list[int] = []
    volumes: list[int] = []
    filled: int = 0

    def value(self) -> Decimal | None:
        """VPIN of the newest buckets; None until all of them were filled without a gap."""
        if len(self.imbalances) < self.buckets:
            return None
        return ratio(sum(self.imbalances), sum(self.volumes))

    def add_totals(self, buy_lots: int, sell_lots: int) -> bool:
        """Add the sums of a run of trades when they don't fill the bucket; else do nothing.

        False means that order matters: give the run's columns to `add_trades`.
        """
        if self.buy_lots + self.sell_lots + buy_lots + sell_lots >= self.bucket_lots:
            return False
        self.buy_lots += buy_lots
        self.sell_lots += sell_lots
        return True

    def add_trades(
        self, qty_lots: Sequence[int], side: Sequence[int], start: int = 0, stop: int | None = None
    ) -> None:
        """Trades start..stop-1 in order; `side` is 1 for a buy and 0 for a sell."""
        buy, sell = self.buy_lots, self.sell_lots
        room = self.bucket_lots - buy - sell
        for quantity, taker in zip(qty_lots[start:stop], side[start:stop], strict=True):
            if quantity < room:
                room -= quantity
                if taker == 1:
                    buy += quantity
                else:
                    sell += quantity
            else:
                self.buy_lots, self.sell_lots = buy, sell
                self._fill(quantity, buy=taker == 1)
                buy, sell = self.buy_lots, self.sell_lots
                room = self.bucket_lots - buy - sell
        self.buy_lots, self.sell_lots = buy, sell

    def add_columns(self, buy_lots: Sequence[int], sell_lots: Sequence[int]) -> None:
        """Trades in order as two columns, one of which is 0 per trade."""
        if self.add_totals(sum(buy_lots), sum(sell_lots)):
            return
        if any(bought and sold for bought, sold in zip(buy_lots, sell_lots, strict=True)):
            raise DomainError("a trade has one aggressor: give trades, not sums")
        lots = [bought or sold for bought, sold in zip(buy_lots, sell_lots, strict=True)]
        self.add_trades(lots, [int(bought > 0) for bought in buy_lots])

    def gap(self) -> None:
        """Trades are missing from here on: start again with an empty bucket."""
        self.buy_lots = self.sell_lots = self.filled = 0
        self.imbalances, self.volumes = [], []
        self.bucket_lots = self.next_lots

    def resize(self, bucket_lots: int) -> None:
        """Use this size from the next bucket on; the unfinished one keeps its own."""
        self.next_lots = _positive(bucket_lots)
        if not self.buy_lots + self.sell_lots:
            self.bucket_lots = self.next_lots

    def rescale(self, lots: int) -> None:
        """Count in finer steps: one old lot becomes `lots` new ones."""
        _positive(lots)
        self.bucket_lots *= lots
        self.next_lots *= lots
        self.buy_lots *= lots
        self.sell_lots *= lots
        self.imbalances = [one * lots for one in self.imbalances]
        self.volumes = [one * lots for one in self.volumes]

    def _fill(self, quantity: int, *, buy: bool) -> None:
        """A trade that fills the bucket, and perhaps more after it."""
        room = self.bucket_lots - self.buy_lots - self.sell_lots
        self._put(room, buy=buy)
        self._close(abs(self.buy_lots - self.sell_lots), 1)
        whole, rest = divmod(quantity - room, self.bucket_lots)
        self._close(self.bucket_lots, whole)
        self._put(rest, buy=buy)

    def _put(self, quantity: int, *, buy: bool) -> None:
        if buy:
            self.buy_lots += quantity
        else:
            self.sell_lots += quantity

    def _close(self, imbalance: int, times: int) -> None:
        """Close the bucket `times` times with this imbalance, and begin an empty one."""
        if not times:
            return
        kept = min(times, self.buckets)
        self.imbalances = [*self.imbalances, *([imbalance] * kept)][-self.buckets :]
        self.volumes = [*self.volumes, *([self.bucket_lots] * kept)][-self.buckets :]
        self.filled += times
        self.buy_lots = self.sell_lots = 0
        self.bucket_lots = self.next_lots


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A value, or None and why; `through_ms`: the newest trade in it.

    `since_ms`: buckets are filled without a gap since then. Lots: those of the stream.
    """

    value: Decimal | None
    reason: str | None
    bucket_lots: int | None
    filled: int
    buckets: int
    through_ms: int
    since_ms: int


def reading(state: Vpin | None, through_ms: int, since: str, since_ms: int) -> Reading:
    """What a state says; `since`: what happened when it began to fill."""
    if state is None:
        why = f"no whole UTC day of volume since the {since}: the bucket size is not known"
        return Reading(None, why, None, 0, BUCKETS, through_ms, since_ms)
    value = state.value()
    filling = f"{len(state.imbalances)} of {state.buckets} buckets filled since: {since}"
    why_not = filling if value is None else None
    return Reading(
        value, why_not, state.bucket_lots, state.filled, state.buckets, through_ms, since_ms
    )


def new(bucket_lots: int, buckets: int = BUCKETS) -> Vpin:
    """An empty state; DomainError for sizes below one."""
    return Vpin(_positive(bucket_lots), bucket_lots, _positive(buckets))


def bucket_of(day_volume_lots: int, per_day: int = BUCKETS_PER_DAY) -> int:
    """The bucket size for a day's volume, at least one lot."""
    return max(1, day_volume_lots // _positive(per_day))


def encode(state: Vpin) -> bytes:
    """The state for a checkpoint."""
    return msgspec.json.encode(state)


def decode(data: bytes) -> Vpin:
    """The inverse of `encode`; DomainError when the state contradicts itself."""
    try:
        state = msgspec.json.decode(data, type=Vpin)
    except msgspec.MsgspecError as error:
        raise DomainError("not a VPIN state: start a new one") from error
    partial = state.buy_lots + state.sell_lots
    sane = (
        min(state.bucket_lots, state.next_lots, state.buckets) > 0
        and min(state.buy_lots, state.sell_lots) >= 0
        and partial < state.bucket_lots
        and len(state.imbalances) == len(state.volumes) <= min(state.buckets, state.filled)
        and all(0 <= i <= v for i, v in zip(state.imbalances, state.volumes, strict=True))
    )
    if not sane:
        raise DomainError("not a VPIN state: start a new one")
    return state


def _positive(value: int) -> int:
    if value < 1:
        raise DomainError(f"sizes and counts of buckets are at least 1, got {value}")
    return value
