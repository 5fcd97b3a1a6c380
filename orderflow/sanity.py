"""Which trades are too odd to be believed at once. Pure.

A trade far from the newest price, far back in time, or with an id that nothing leads to, is held:
one odd trade is the venue's mistake, several that agree are a new situation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

PRICE_FACTOR = 4
"""A price may be this many times, or this part of, the newest one."""
BACK_MS = 60_000
"""A new id may be this much older than the newest trade."""
RESET_MS = 1_000
"""An id of the past with a time so much newer than everything seen can only be a new numbering."""
JUMP_IDS = 1_000_000
JUMP_IDS_PER_S = 50_000
"""More new ids than this since the newest trade are not believed."""
AGREEING = 3
"""So many odd trades that agree with each other are no mistake."""
MOST_HELD = 64

Oddity = Literal["", "price_far_off", "time_far_off", "id_far_off", "old_epoch"]


class Newest(msgspec.Struct):
    """What a trade is compared with; 0 while nothing is known.

    `key`, `event_ms`: the newest id in order and its time. `epoch_ms`: when this numbering began.
    """

    price_ticks: int = 0
    key: int = 0
    event_ms: int = 0
    epoch_ms: int = 0


def usual(prices: Sequence[int], anchor_ticks: int) -> bool:
    """True when every price is near the anchor, or nothing is known."""
    if not anchor_ticks:
        return max(prices) <= PRICE_FACTOR * min(prices)
    return max(prices) <= PRICE_FACTOR * anchor_ticks and PRICE_FACTOR * min(prices) >= anchor_ticks


def odd_price(price: int, anchor_ticks: int) -> bool:
    """True when a price is far from the anchor."""
    return bool(anchor_ticks) and not usual((price,), anchor_ticks)


def odd_id(key: int, event_ms: int, newest: Newest) -> Oddity:
    """What is odd about an id of a stream that counts its trades; "" when nothing is."""
    if not newest.event_ms:
        return ""
    ahead = key - newest.key
    after_ms = event_ms - newest.event_ms
    if newest.epoch_ms and event_ms < newest.epoch_ms:
        return "old_epoch"
    if ahead > JUMP_IDS + JUMP_IDS_PER_S * max(0, after_ms) // 1_000:
        return "id_far_off"
    if ahead <= 0 and after_ms > RESET_MS:
        return "id_far_off"
    return "time_far_off" if ahead > 0 and after_ms < -BACK_MS else ""


def agree(keys: Sequence[int], prices: Sequence[int], *, counted: bool) -> bool:
    """True when enough odd trades tell one story: rising ids (where they count), one price."""
    rising = all(a < b for a, b in pairwise(keys))
    return len(keys) >= AGREEING and usual(prices, prices[0]) and (rising or not counted)
