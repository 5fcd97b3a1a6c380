"""A Discord channel through its webhook, whose URL is the secret."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.book import TargetOptions
from alerts.message import text_of
from alerts.reach import Reach
from alerts.targets.target import Delivered, Parcel, Target, judged

MOST_SIGNS = 2_000


async def deliver(parcel: Parcel, reach: Reach) -> Delivered:
    """Plain content that mentions nobody."""
    content = text_of(parcel.alert)[:MOST_SIGNS]
    body = msgspec.json.encode({"content": content, "allowed_mentions": {"parse": []}})
    headers = {"Content-Type": "application/json"}
    reply = await reach.post(parcel.options["url"], headers, body)
    return judged(reply, parcel.now_ms, _pause_s(reply.body))


def _pause_s(body: bytes) -> float | None:
    """Discord's answer says the pause as well: retry_after, in seconds."""
    try:
        answer: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    pause = answer.get("retry_after") if isinstance(answer, dict) else None
    return float(pause) if isinstance(pause, int | float) and pause >= 0 else None


TARGET = Target(TargetOptions((), ("url",), ("url",)), deliver)
