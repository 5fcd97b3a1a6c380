"""KeyRing: the keys as this server knows them, at most a quarter of a second old.

While the store is away the last known keys stay good: nobody is let in who was not before.
"""

from __future__ import annotations

import structlog

from backbone.keys.book import KeyBook
from backbone.keys.key import ApiKey
from orderflow.errors import StoreError

log = structlog.get_logger()

REFRESH_S = 0.25


class KeyRing:
    """Keys by id. `closed`: a key is needed even when there is none yet."""

    def __init__(self, book: KeyBook, *, closed: bool) -> None:
        self.book = book
        self.closed = closed
        self.keys: dict[str, ApiKey] = {}
        self._version = -1
        self._away = False

    @property
    def required(self) -> bool:
        """A key is needed: beyond loopback always, on loopback once there was one."""
        return self.closed or bool(self.keys)

    async def refresh(self) -> None:
        """Read the keys again if any has changed."""
        try:
            version = await self.book.version()
            if version != self._version:
                self.keys = {key.id: key for key in await self.book.keys()}
                self._version = version
            self._away = False
        except StoreError as error:
            if not self._away:
                log.warning("keys.stale", reason=str(error))
            self._away = True
