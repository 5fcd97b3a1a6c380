"""A Slack channel through its incoming webhook, whose URL is the secret."""

from __future__ import annotations

import msgspec

from alerts.book import TargetOptions
from alerts.message import text_of
from alerts.reach import Reach
from alerts.targets.target import Delivered, Parcel, Target, judged

ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
"""Slack reads these signs as its own marks: <!channel> would call everybody."""


async def deliver(parcel: Parcel, reach: Reach) -> Delivered:
    """Plain text without marks."""
    text = text_of(parcel.alert)
    for sign, escaped in ESCAPES:
        text = text.replace(sign, escaped)
    body = msgspec.json.encode({"text": text, "mrkdwn": False, "unfurl_links": False})
    headers = {"Content-Type": "application/json"}
    return judged(await reach.post(parcel.options["url"], headers, body), parcel.now_ms)


TARGET = Target(TargetOptions((), ("url",), ("url",)), deliver)
