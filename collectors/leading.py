"""Leading: what only one of several collectors of a venue does.

Trades come from all of them, the first arrival wins. Repairs, and streams whose events could not be
told from their repetition (liquidations), come from the one that leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Leading:
    """Whether this collector leads; one that is alone always does."""

    def __init__(self) -> None:
        self._yes, self._no = asyncio.Event(), asyncio.Event()
        self._yes.set()

    def __bool__(self) -> bool:
        return self._yes.is_set()

    def begin(self) -> None:
        """This one leads now."""
        self._no.clear()
        self._yes.set()

    def end(self) -> None:
        """Another one leads, or may."""
        self._yes.clear()
        self._no.set()

    async def until(self) -> None:
        """Returns when this one leads."""
        await self._yes.wait()

    async def until_not(self) -> None:
        """Returns when this one does not lead."""
        await self._no.wait()

    async def during(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it whenever this one leads, from its begin each time; for ever, or until it ends by
        itself."""
        while True:
            await self._yes.wait()
            working = asyncio.ensure_future(work())
            ending = asyncio.create_task(self._no.wait())
            try:
                await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return await working
            finally:
                for task in (working, ending):
                    task.cancel()
                await asyncio.gather(working, ending, return_exceptions=True)
