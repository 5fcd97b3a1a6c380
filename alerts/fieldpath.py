"""The path of a field in an answer: `quality.age_ms`, `bars.-1.delta`, `levels[name=poc].price`.

Names and places are joined by dots; `[key=value]` takes the first item of a list whose key has that
value. Pure.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NamedTuple

from orderflow.errors import ConfigError

LONGEST = 200
STEP = re.compile(r"(?:[a-z0-9_]{1,40}|-?[0-9]{1,4})(?:\[[a-z_]{1,40}=[A-Za-z0-9_:.-]{1,60}\])?")
NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
Scalar = Decimal | str | bool | None


class Step(NamedTuple):
    """A name or a place, then perhaps the item of a list that has a value."""

    name: str
    key: str = ""
    value: str = ""


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps; ConfigError shows what a path looks like."""
    words = _words(text)
    if not words or len(text) > LONGEST or any(STEP.fullmatch(word) is None for word in words):
        raise ConfigError(
            f"field {text!r} is no path; it looks like delta, quality.age_ms, bars.-1.close or "
            "levels[name=poc].price"
        )
    steps = []
    for word in words:
        name, _, rest = word.partition("[")
        key, _, value = rest.rstrip("]").partition("=")
        steps.append(Step(name, key, value))
    return tuple(steps)


def _words(text: str) -> list[str]:
    """Split at dots that are not inside brackets."""
    words = re.findall(r"(?:[^.\[]|\[[^\]]*\])+", text)
    return words if ".".join(words) == text else []


def value_at(data: Any, path: tuple[Step, ...]) -> Scalar:
    """What is there: an exact number, text, a truth, or None where nothing is."""
    for step in path:
        data = _inside(data, step.name)
        if step.key:
            data = next((one for one in _items(data) if _has(one, step)), None)
        if data is None:
            return None
    return scalar(data)


def scalar(data: Any) -> Scalar:
    """Numbers as exact decimals; lists and objects are no value."""
    if isinstance(data, bool) or data is None:
        return data
    if isinstance(data, int | Decimal):
        return Decimal(data)
    if isinstance(data, str):
        return Decimal(data) if NUMBER.fullmatch(data) else data
    return None


def _inside(data: Any, name: str) -> Any:
    if isinstance(data, dict):
        return data.get(name)
    if isinstance(data, list) and name.lstrip("-").isdecimal():
        place = int(name)
        return data[place] if -len(data) <= place < len(data) else None
    return None


def _items(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []


def _has(one: Any, step: Step) -> bool:
    return isinstance(one, dict) and str(one.get(step.key)) == step.value
