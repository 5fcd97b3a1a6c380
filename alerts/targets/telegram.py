"""A Telegram chat through its bot API. It knows no idempotency: a repeat is a second message."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.book import TargetOptions
from alerts.message import text_of
from alerts.reach import Reach
from alerts.targets.target import Delivered, Parcel, Target, judged

API = "https://api.telegram.org"


async def deliver(parcel: Parcel, reach: Reach) -> Delivered:
    """sendMessage as plain text; the token is part of the URL, which nobody logs."""
    base = parcel.options.get("api", API).rstrip("/")
    body = msgspec.json.encode(
        {
            "chat_id": parcel.options["chat_id"],
            "text": text_of(parcel.alert),
            "link_preview_options": {"is_disabled": True},
        }
    )
    headers = {"Content-Type": "application/json"}
    reply = await reach.post(f"{base}/bot{parcel.options['token']}/sendMessage", headers, body)
    return judged(reply, parcel.now_ms, _pause_s(reply.body))


def _pause_s(body: bytes) -> float | None:
    """Telegram writes its pause into the answer: parameters.retry_after, in seconds."""
    try:
        answer: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    given = answer.get("parameters") if isinstance(answer, dict) else None
    pause = given.get("retry_after") if isinstance(given, dict) else None
    return float(pause) if isinstance(pause, int | float) and pause >= 0 else None


TARGET = Target(TargetOptions(("chat_id", "api"), ("token",), ("chat_id", "token")), deliver)
