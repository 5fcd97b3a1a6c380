"""Decimal strings to scaled integers and back, exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def scaled(texts: Sequence[str]) -> tuple[list[int], int]:
    """Integers and their decimals: `["1.50", "2.25"]` is `([150, 225], 2)`.

    All texts get the decimals of the longest fraction. ValueError for anything but a number.
    """
    places = {len(text) - text.find(".") - 1 if "." in text else 0 for text in texts}
    if not places:
        return [], 0
    digits = max(places)
    try:
        if len(places) == 1:
            return [int(text.replace(".", "")) for text in texts], digits
        return [_scaled_one(text, digits) for text in texts], digits
    except ValueError:
        return _scaled_slowly(texts)


def _scaled_one(text: str, digits: int) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(digits, "0"))


def _scaled_slowly(texts: Sequence[str]) -> tuple[list[int], int]:
    """Numbers with exponents, as some archive rows have."""
    try:
        values = [Decimal(text) for text in texts]
    except ArithmeticError as error:
        raise ValueError(f"not a column of numbers: {texts[0][:40]!r}…") from error
    digits = max(0, *(-int(value.as_tuple().exponent) for value in values))
    return [int(value.scaleb(digits)) for value in values], digits


def step_digits(values: NDArray[np.int64], digits: int) -> int:
    """Decimals of the largest power-of-ten step (at most 1) that divides every value."""
    divisor = int(np.gcd.reduce(values)) if len(values) else 0
    while digits > 0 and divisor % 10 == 0:
        divisor //= 10
        digits -= 1
    return digits


def decimals(text: str) -> int:
    """Decimals of a step without trailing zeros: `"0.10"` has 1."""
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no plain decimal number")
    return len(text.partition(".")[2].rstrip("0"))


def text_of(value: int, digits: int, places: int | None = None) -> str:
    """`value / 10**digits` with `places` decimals (never fewer than exact); None strips zeros."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(value, 10**digits)
    tail = str(fraction).rjust(digits, "0") if digits else ""
    if places is None or places < digits:
        tail = tail.rstrip("0").ljust(places or 0, "0")
    else:
        tail = tail.ljust(places, "0")
    return f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}"


class TextOf(dict[int, str]):
    """Remembered decimal texts of scaled integers: `texts[value]`; `most` of them at once."""

    most = 200_000

    def __init__(self, digits: int, places: int | None) -> None:
        super().__init__()
        self.digits = digits
        self.places = places

    def __missing__(self, value: int) -> str:
        if len(self) >= self.most:
            self.clear()
        text = self[value] = text_of(value, self.digits, self.places)
        return text
