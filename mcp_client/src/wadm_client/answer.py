"""An answer with where it came from, and the marks on what is not new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from wadm_client.report import Report
from wadm_client.types import Quality

T = TypeVar("T", bound=Report)
Origin = Literal["server", "unchanged", "memory", "cache"]
ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`stale` is True whenever the server could not be asked; `age_ms` None means unknown."""

    value: T
    stale: bool
    age_ms: int | None
    origin: Origin
    wait_ms: int
    why: str = ""


def qualities(value: Any) -> Iterator[Quality]:
    """Every quality block inside an answer."""
    if isinstance(value, Quality):
        yield value
    elif isinstance(value, Report):
        for name in value.__struct_fields__:
            yield from qualities(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from qualities(item)


def later(value: Any, passed_ms: int, *, stale: bool) -> Any:
    """The same answer some time later: its age grown, and marked when it is stale."""

    def changed(quality: Quality) -> Quality:
        return msgspec.structs.replace(
            quality, age_ms=quality.age_ms + passed_ms, stale=quality.stale or stale
        )

    return _mapped(value, changed) if passed_ms or stale else value


def _mapped(value: Any, change: Callable[[Quality], Quality]) -> Any:
    if isinstance(value, Quality):
        return change(value)
    if isinstance(value, Report):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        new = {name: _mapped(inner, change) for name, inner in fields.items()}
        moved = {name: inner for name, inner in new.items() if inner is not fields[name]}
        return msgspec.structs.replace(value, **moved) if moved else value
    if isinstance(value, list) and value and isinstance(value[0], Report):
        return [_mapped(item, change) for item in value]
    return value


def to_json(value: Report) -> bytes:
    """JSON with the server's own digits."""
    return ENCODER.encode(value)
