"""Verifier: is this the text of a key we gave out?

bcrypt runs once per key and five minutes, in at most SLOTS threads; in between a keyed digest of
the whole text under a secret of this process stands for it. An unknown id is compared with a hash
that nothing matches, under the same limits, so it takes as long as a known one.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from backbone.clock import Monotonic, monotonic_s, wall_ms
from backbone.keys.book import hashed, matches
from backbone.keys.key import ApiKey
from backbone.keys.text import KeyText, parse_key
from mcp_server.access.failures import Failures
from mcp_server.access.ring import KeyRing
from orderflow.errors import ForbiddenError, NotReadyError, UnauthorizedError

SLOTS = 4
MOST_WAITING = 64
GOOD_S, WRONG_S = 300.0, 30.0
MOST_KNOWN = 10_000
WRONG_PER_MINUTE, MALFORMED_PER_MINUTE = 10, 60
REFUSED = "send a valid API key in X-API-Key, or as Authorization: Bearer"
Match = Callable[[str, str], bool]


class Known(NamedTuple):
    """A well-formed text that was compared: its id, and the hash it matches, or None."""

    until_s: float
    id: str
    key_hash: str | None


class Verifier:
    """Texts in, keys out. `matches` compares a secret with a hash, in a thread."""

    def __init__(
        self, ring: KeyRing, cost: int, clock: Monotonic = monotonic_s, match: Match = matches
    ) -> None:
        self.ring = ring
        self.hashes = 0
        self._match = match
        self._clock = clock
        self._pepper = secrets.token_bytes(32)
        self._dummy = hashed(secrets.token_urlsafe(32), cost)
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[Known]] = {}
        self._threads = ThreadPoolExecutor(SLOTS, thread_name_prefix="key-hash")
        self._slots = asyncio.Semaphore(SLOTS)
        self._wrong = Failures(WRONG_PER_MINUTE, clock)
        self._malformed = Failures(MALFORMED_PER_MINUTE, clock)

    async def verify(self, text: str | None, address: str) -> ApiKey:
        """The key; UnauthorizedError, ForbiddenError, RateLimitError or NotReadyError."""
        known = None if text is None else self._remembered(text)
        if known is None:
            known = await self._compared(text, address)
        key = self.ring.keys.get(known.id)
        if key is None or known.key_hash != key.hash or not key.active(wall_ms()):
            raise UnauthorizedError(REFUSED)
        if not key.from_here(address):
            raise ForbiddenError("this key is not for this address")
        return key

    def _remembered(self, text: str) -> Known | None:
        """What is known of a text that was compared not long ago; only good forms ever are."""
        known = self._known.get(self._fingerprint(text))
        return known if known is not None and self._clock() < known.until_s else None

    def _fingerprint(self, text: str) -> bytes:
        """BLAKE2 with a key is a MAC by itself, at a third of what HMAC costs."""
        return hashlib.blake2b(text.encode(), digest_size=32, key=self._pepper).digest()

    async def _compared(self, text: str | None, address: str) -> Known:
        parts = None if text is None else parse_key(text)
        if text is None or parts is None:
            self._malformed.check(address)
            self._malformed.note(address)
            raise UnauthorizedError(REFUSED)
        fingerprint = self._fingerprint(text)
        self._wrong.check(address)
        flight = self._flights.get(fingerprint)
        if flight is None:
            if len(self._flights) >= MOST_WAITING:
                raise NotReadyError("too many new keys at once; try again", retry_after_s=1)
            flight = asyncio.create_task(self._compare(fingerprint, parts, address))
            self._flights[fingerprint] = flight
            flight.add_done_callback(lambda _: self._flights.pop(fingerprint, None))
        return await asyncio.shield(flight)

    async def _compare(self, fingerprint: bytes, parts: KeyText, address: str) -> Known:
        async with self._slots:
            self._wrong.check(address)
            key = self.ring.keys.get(parts.id)
            key_hash = self._dummy if key is None else key.hash
            self.hashes += 1
            began_s = self._clock()
            loop = asyncio.get_running_loop()
            good = await loop.run_in_executor(self._threads, self._match, parts.secret, key_hash)
            if not good or key is None:
                # A slot rests, so that all of them together keep one core busy with wrong keys.
                await asyncio.sleep((SLOTS - 1) * (self._clock() - began_s))
        if not good or key is None:
            self._wrong.note(address)
            known = Known(self._clock() + WRONG_S, parts.id, None)
        else:
            known = Known(self._clock() + GOOD_S, parts.id, key.hash)
        self._known[fingerprint] = known
        self._known.move_to_end(fingerprint)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return known

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        for flight in self._flights.values():
            flight.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
