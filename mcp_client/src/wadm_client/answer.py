"""An answer with where it came from, and the marks on what is not new."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from wadm_client import types
from wadm_client.clock import moment_ms
from wadm_client.errors import ClientError
from wadm_client.report import Report
from wadm_client.types import Quality, ShortQuality

T = TypeVar("T", bound=Report)
Origin = Literal["server", "unchanged", "memory", "cache"]
Proof = Quality | ShortQuality
PROOFS = (Quality, ShortQuality)
SECOND_MS = 1_000
ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`stale` is True whenever the server could not be asked; `age_ms` None means unknown.

    `cause` is why it could not be asked, `why` the same for people.
    """

    value: T
    stale: bool
    age_ms: int | None
    origin: Origin
    wait_ms: int
    why: str = ""
    cause: ClientError | None = None


@functools.cache
def holders(kind: type[Report]) -> tuple[str, ...]:
    """Fields of an answer type that lead to a quality block: no other has to be looked at."""
    found = []
    for name, text in kind.__annotations__.items():
        kinds = [getattr(types, word, None) for word in re.findall(r"\w+", str(text))]
        reports = [k for k in kinds if isinstance(k, type) and issubclass(k, Report)]
        if any(k is not kind and (k in PROOFS or holders(k)) for k in reports):
            found.append(name)
    return tuple(found)


def qualities(value: Any) -> Iterator[Proof]:
    """Every quality block inside an answer."""
    if isinstance(value, PROOFS):
        yield value
    elif isinstance(value, Report):
        for name in holders(type(value)):
            yield from qualities(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from qualities(item)


def next_in_ms(quality: Proof, date_ms: int | None) -> int | None:
    """Milliseconds until asking is worth it, all on the server's clock; None where it says nothing.

    A short proof names the moment only: it counts from the answer's Date, a second earlier, as
    that header knows whole seconds only.
    """
    if isinstance(quality, Quality):
        return quality.next_update_in_ms
    if quality.next_update_at is None or date_ms is None:
        return None
    try:
        until_ms = moment_ms(quality.next_update_at)
    except ValueError:
        return None
    return max(0, until_ms - date_ms - SECOND_MS)


def later(value: Any, passed_ms: int, *, stale: bool) -> Any:
    """The same answer some time later: its age grown, and marked when it is stale."""

    def changed(quality: Proof) -> Proof:
        return msgspec.structs.replace(
            quality, age_ms=quality.age_ms + passed_ms, stale=quality.stale or stale
        )

    return _mapped(value, changed) if passed_ms or stale else value


def _mapped(value: Any, change: Callable[[Proof], Proof]) -> Any:
    if isinstance(value, PROOFS):
        return change(value)
    if isinstance(value, Report):
        names = holders(type(value))
        moved = {name: _mapped(getattr(value, name), change) for name in names}
        return msgspec.structs.replace(value, **moved) if moved else value
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return value


def to_json(value: Report) -> bytes:
    """JSON with the server's own digits."""
    return ENCODER.encode(value)
