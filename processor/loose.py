"""Trades without numbers that are kept in order: what comes in is put among them. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Key = Callable[[T], tuple[int, ...]]


def merge(loose: list[T], rows: list[T], order: Key[T]) -> None:
    """Put rows, in order themselves, among others; nearly always they all come behind."""
    if loose and rows and order(rows[0]) < order(loose[-1]):
        place = bisect_right(loose, order(rows[0]), key=order)
        rows = sorted([*loose[place:], *rows], key=order)
        del loose[place:]
    loose += rows
