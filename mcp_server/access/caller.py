"""The key behind the request in hand, and what it may see."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from backbone.keys.key import ApiKey
from orderflow.errors import ForbiddenError

CALLER: ContextVar[Callable[[], ApiKey | None] | None] = ContextVar("CALLER", default=None)
"""Gives the key as it is now; None where no key is needed. A session outlives a change of its key,
so the key itself is looked up at each question."""


def _key() -> ApiKey | None:
    known = CALLER.get()
    if known is None:
        return None
    key = known()
    if key is None:
        raise ForbiddenError("the key of this session is no longer good")
    return key


def permit_symbol(symbol: str) -> None:
    """ForbiddenError when the caller's key is not for this symbol."""
    key = _key()
    if key is not None and not key.allows_symbol(symbol):
        raise ForbiddenError(f"this key is not for {symbol}; it is for: {', '.join(key.symbols)}")


def may_see(symbol: str) -> bool:
    """The caller's key is for this symbol, or no key is needed."""
    key = _key()
    return key is None or key.allows_symbol(symbol)


def permit_tool(name: str) -> None:
    """ForbiddenError when the caller's key is not for this tool."""
    key = _key()
    if key is not None and not key.allows_tool(name):
        raise ForbiddenError(f"this key is not for that tool; it is for: {', '.join(key.tools)}")


def sees_everything() -> bool:
    """No key is needed, or the caller's has no narrower scope: it may share a common answer."""
    key = _key()
    return key is None or not key.scoped
