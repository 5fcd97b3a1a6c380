"""Ending tasks for good: a cancellation that arrives together with an answer can be lost.

Until Python 3.12 `asyncio.wait_for` returns a result that is there already and forgets that it was
cancelled, and the broker's client awaits every answer by it. Whoever cancels a task once and waits
may wait for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_S = 2.0


async def ended(*tasks: asyncio.Task[Any], again_s: float = AGAIN_S) -> None:
    """Cancel tasks until they end. Not for one that has long work to do on its way out: that is
    cancelled once, and told by a flag."""
    waiting = [task for task in tasks if not task.done()]
    while waiting:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=again_s)
        waiting = [task for task in waiting if not task.done()]
    await asyncio.gather(*tasks, return_exceptions=True)
