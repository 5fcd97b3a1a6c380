"""A webhook of one's own, signed as in the Standard Webhooks specification.

`webhook-signature` is `v1,` and the base64 HMAC-SHA256 of `ID.TIMESTAMP.BODY`; a secret written as
`whsec_…` is base64 of the key, any other is the key itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from alerts.book import TargetOptions
from alerts.reach import Reach
from alerts.targets.target import Delivered, Parcel, Target, judged
from orderflow.errors import ConfigError

PREFIX = "whsec_"


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ConfigError("the webhook's secret begins with whsec_ but is no base64") from None


async def deliver(parcel: Parcel, reach: Reach) -> Delivered:
    """One try; the time is that of the try, id and body are those of every try."""
    timestamp_s = parcel.now_ms // 1_000
    name = parcel.alert.id
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": name,
        "webhook-id": name,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature(parcel.options["secret"], name, timestamp_s, parcel.body),
    }
    return judged(await reach.post(parcel.options["url"], headers, parcel.body), parcel.now_ms)


TARGET = Target(TargetOptions(("url",), ("url", "secret"), ("url", "secret")), deliver)
