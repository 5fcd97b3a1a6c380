"""What faults make of a trade: extra trades beside it, and broken shapes of its frame."""

from __future__ import annotations

from simulator.columns import ADL, BLOCK, KEY, KIND, PRICE, QTY, Row
from simulator.wire.session import Item, framed

Step = tuple[Row, str]
"""A row to send and the shape its frame is given, if any."""

FOREIGN_KEYS = 10**15
"""Injected linear trades get a place, and so a UUID, that no recorded trade has."""


def extras(row: Row, actions: set[str], *, is_linear: bool) -> list[Row]:
    """Trades that must never count, made from the one before them."""
    shift = FOREIGN_KEYS if is_linear else 0
    found = []
    if "ADL" in actions:
        found.append(_changed(row, {PRICE: row[PRICE] * 2, KIND: ADL}))
    if "BT" in actions:
        found.append(_changed(row, {QTY: row[QTY] * 1000, KIND: BLOCK, KEY: row[KEY] + shift}))
    if "ZERO" in actions:
        found.append(_changed(row, {QTY: 0, KEY: row[KEY] + 2 * shift}))
    return found


def _changed(row: Row, values: dict[int, int]) -> Row:
    cells = list(row)
    for index, value in values.items():
        cells[index] = value
    e, t, p, q, b, k, f, n, s, x = cells
    return (e, t, p, q, b, k, f, n, s, x)


def shaped(text: str, shape: str, huge_bytes: int) -> str:
    """The JSON of a frame as the fault leaves it; the frame around it stays intact."""
    if shape == "malformed":
        return text[: len(text) // 2]
    if shape == "drift":
        return text.replace('"p":', '"px":')
    if shape == "huge":
        return f'{text[:-1]},"pad":"{"x" * huge_bytes}"}}'
    return text


def reshaped(items: list[Item], payloads: list[Item], shape: str, huge_bytes: int) -> list[Item]:
    """Frames of payloads in a shape; without one, the frames as they are."""
    if not shape:
        return items
    return [(at, framed(shaped(text, shape, huge_bytes))) for at, text in payloads]
