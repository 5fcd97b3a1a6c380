"""What a kind of target is: its options, and how it delivers one alert."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple

from alerts.book import TargetOptions
from alerts.evaluation import Alert
from alerts.reach import Reach, Reply
from alerts.retrying import pause_of

LATER = frozenset({408, 425, 429})
Outcome = Literal["accepted", "later", "refused"]


class Delivered(NamedTuple):
    """How it went, in words without secrets, and the pause that was asked for."""

    outcome: Outcome
    words: str
    pause_s: float | None = None


class Parcel(NamedTuple):
    """One delivery: the alert, its kept body, the target's options, the wall clock."""

    alert: Alert
    body: bytes
    options: Mapping[str, str]
    now_ms: int


Deliver = Callable[[Parcel, Reach], Awaitable[Delivered]]


class Target(NamedTuple):
    """A kind of target."""

    takes: TargetOptions
    deliver: Deliver


def judged(reply: Reply, now_ms: int, pause_s: float | None = None) -> Delivered:
    """What a status means: 2xx is taken, 429 and 5xx mean later, everything else never."""
    words = f"HTTP {reply.status}"
    if 200 <= reply.status < 300:
        return Delivered("accepted", words)
    if reply.status in LATER or reply.status >= 500:
        return Delivered("later", words, pause_of(reply.retry_after, now_ms) or pause_s)
    if 300 <= reply.status < 400:
        return Delivered("refused", f"{words}: redirects are not followed, name the final URL")
    return Delivered("refused", words)
