"""Tasks that lose a cancellation end all the same."""

from __future__ import annotations

import asyncio

from backbone.ending import ended


async def test_a_lost_cancellation_is_repeated() -> None:
    """A task whose awaited answer is there when it is cancelled goes on, by `wait_for`'s habit or
    by its own; it is cancelled again until it ends, and others are not waited for twice."""
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 3:
                    raise

    async def done() -> int:
        return 1

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(done())]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await ended(*tasks, again_s=0.01)
    assert swallowed == 3
    assert all(task.done() for task in tasks)
    assert tasks[1].result() == 1


async def test_nothing_to_end() -> None:
    """No task, or tasks that have ended, cost no wait."""
    await ended()
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await ended(task)
    assert not task.cancelled()
