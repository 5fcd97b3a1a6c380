"""An event loop without a selector: when nothing is ready, time jumps to the next timer.

A simulated hour has half a million callbacks, so the loop is as short as one can be; callbacks of
one moment run in the order they were asked for.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

FIRST_S = 1_000.0
MOST_CANCELLED = 5_000


class Call:
    """A callback that waits for its turn; what asyncio calls a handle."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when")

    def __init__(
        self,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        when_s: float,
    ) -> None:
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._when = when_s
        self._cancelled = False

    def cancel(self) -> None:
        """It will not run."""
        self._cancelled = True
        self._callback, self._args = _nothing, ()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    def when(self) -> float:
        """Virtual seconds at which it is due."""
        return self._when


def _nothing() -> None:
    """What a cancelled call does."""


class TimelessLoop(asyncio.SelectorEventLoop):
    """Virtual seconds that pass only while everything waits."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = FIRST_S
        self._turns: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._asked = 0
        self._tidy_at = MOST_CANCELLED

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Call:
        """In this moment, after what was asked for before."""
        call = Call(callback, args, context, self._now_s)
        self._turns.append(call)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Call:
        """In so many virtual seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Call:
        """At a virtual moment."""
        call = Call(callback, args, context, when)
        self._asked += 1
        heapq.heappush(self._timers, (when, self._asked, call))
        return call

    def _run_once(self) -> None:
        """One round: move time if nothing is ready, then run what was ready at its beginning."""
        turns, timers = self._turns, self._timers
        if not turns:
            self._jump()
        now_s = self._now_s
        while timers and timers[0][0] <= now_s:
            turns.append(heapq.heappop(timers)[2])
        for _ in range(len(turns)):
            call = turns.popleft()
            if call._cancelled:
                continue
            try:
                call._context.run(call._callback, *call._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio does with a callback's
                self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _jump(self) -> None:
        """To the next timer that was not cancelled."""
        timers = self._timers
        if len(timers) > self._tidy_at:
            timers[:] = [entry for entry in timers if not entry[2]._cancelled]
            heapq.heapify(timers)
            self._tidy_at = 2 * len(timers) + MOST_CANCELLED
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if timers:
            self._now_s = max(self._now_s, timers[0][0])
        elif not self._stopping:  # type: ignore[attr-defined]
            raise RuntimeError("everything waits for something that will never come")
