"""When to ask again: backoff with full jitter, a budget of retries, and the server's own limits."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from wadm_client.errors import (
    ApiError,
    BadAnswerError,
    CertificateError,
    ClientError,
    NotReadyError,
    RateLimitedError,
    TooLargeError,
    UnreachableError,
)

MINUTE_S = 60.0
MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one question may take."""

    base_s: float = 0.5
    cap_s: float = 30.0
    attempts: int = 4
    budget_s: float = 20.0
    chance: Callable[[], float] = random.random

    def backoff_s(self, failures: int) -> float:
        """Full jitter: anything between 0 and the doubled, capped wait."""
        return self.chance() * self.ceiling_s(failures)

    def ceiling_s(self, failures: int) -> float:
        """The most a wait after this many failures in a row can be."""
        return float(min(self.cap_s, self.base_s * 2 ** min(failures, MOST_DOUBLINGS)))

    def wait_s(self, error: ClientError, failures: int) -> float:
        """Never before Retry-After, and spread beyond it so that clients do not return at once."""
        named = error.retry_after_s if isinstance(error, ApiError) else None
        return self.backoff_s(failures) + (named or 0.0)


def worth_retrying(error: ClientError) -> bool:
    """Whether the same question can succeed later without anybody changing anything."""
    if isinstance(error, CertificateError | TooLargeError):
        return False
    return isinstance(error, UnreachableError | RateLimitedError | NotReadyError | BadAnswerError)


def excused(error: ClientError) -> bool:
    """Whether an older answer, marked stale, is better than the error."""
    return isinstance(error, TooLargeError) or worth_retrying(error)


@dataclass(slots=True)
class RetryBudget:
    """At most one retry per ten good answers, after a first few: retries never multiply load."""

    most: float = 10.0
    share: float = 0.1
    left: float = field(default=10.0)

    def succeeded(self) -> None:
        """A good answer earns a part of a retry."""
        self.left = min(self.most, self.left + self.share)

    def take(self) -> bool:
        """Spend one retry, if there is one."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Allowance:
    """Requests per minute: our own moving window, and what the server says is left."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._sent: deque[float] = deque()
        self._closed_until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next request is allowed."""
        while self._sent and self._sent[0] <= now_s - MINUTE_S:
            self._sent.popleft()
        own = self._sent[0] + MINUTE_S - now_s if len(self._sent) >= self.per_minute else 0.0
        return max(own, self._closed_until_s - now_s, 0.0)

    def sent(self, now_s: float) -> None:
        """A request goes out."""
        self._sent.append(now_s)

    def told(self, now_s: float, left: int | None, reset_s: float | None) -> None:
        """What RateLimit said: with nothing left, nothing is sent before it is renewed."""
        if left == 0 and reset_s is not None:
            self._closed_until_s = max(self._closed_until_s, now_s + reset_s)

    def closed(self, now_s: float, wait_s: float) -> None:
        """429 or 503 with Retry-After closes for every question, not only for the one refused."""
        self._closed_until_s = max(self._closed_until_s, now_s + wait_s)
