"""KnownAnswers: tools asked the same thing between two updates answer once.

The same rule as over REST (`answer_cache`): an answer stays while the live view has the same
version, at most FRESH_S; keys that see less than everybody else pass by, and so do tools that wait.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult

from backbone.clock import Monotonic, monotonic_s
from mcp_server.access.caller import sees_everything
from mcp_server.answer_cache import FRESH_S

WAITING = frozenset({"wait_for"})
MOST_ANSWERS = 256
LONGEST_QUESTION = 2_000


class Known(NamedTuple):
    """One answer as it goes over the wire, and when it was made of what."""

    version: int
    made_s: float
    result: dict[str, Any]


class KnownAnswers:
    """Answers by protocol version, tool and arguments."""

    def __init__(self, version: Callable[[], int], clock: Monotonic = monotonic_s) -> None:
        self.made = 0
        self._version = version
        self._clock = clock
        self._known: OrderedDict[str, Known] = OrderedDict()

    async def watch(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Middleware: behind the scopes, before anything is validated or computed."""
        name = self._name(ctx)
        if name is None or not sees_everything():
            return await call_next(ctx)
        version, now = self._version(), self._clock()
        known = self._known.get(name)
        if known is not None and known.version == version and now - known.made_s < FRESH_S:
            return dict(known.result)
        result = await call_next(ctx)
        if isinstance(result, dict) and not result.get("isError"):
            self.made += 1
            self._known[name] = Known(version, now, dict(result))
            self._known.move_to_end(name)
            if len(self._known) > MOST_ANSWERS:
                self._known.popitem(last=False)
        return result

    @staticmethod
    def _name(ctx: ServerRequestContext[Any, Any]) -> str | None:
        """The question; None for what is no question or too long for one."""
        asked = ctx.params or {}
        if ctx.method != "tools/call" or asked.get("name") in WAITING:
            return None
        name = json.dumps([ctx.protocol_version, asked.get("name"), asked.get("arguments")])
        return name if len(name) <= LONGEST_QUESTION else None
