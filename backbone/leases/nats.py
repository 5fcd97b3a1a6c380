"""NatsLeases: the lease port on a key-value bucket of the broker, compared and set by revision.

One bucket for all kinds, one value per name, gone TTL_S after it was last written. The revision of
a value is the sequence of its message, so a lease can be kept by nobody who has not seen its last
change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import Header, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from backbone.leases.base import TTL_S
from orderflow.errors import BusError

if TYPE_CHECKING:
    from backbone.bus.nats import NatsBus

BUCKET = "leases"
STREAM = f"KV_{BUCKET}"
ANSWER_S = 1.0
MOST_BYTES = 2**22
CHANGED = frozenset({10071, 10164})
"""Somebody else wrote after the revision that was expected."""
NO_HEADERS: Mapping[str, str] = {}
LEAVES = {"Nats-TTL": "1s"}


class NatsLeases:
    """Implements the lease port on the connection of a bus. `owner`: may make the bucket."""

    def __init__(self, bus: NatsBus, *, owner: bool = False, replicas: int = 1) -> None:
        self._bus = bus
        self._owner = owner
        self._replicas = replicas
        self._made = False

    async def present(self, kind: str, member: str) -> None:
        """Write the member's value."""
        await self._put(_subject(kind, "member", member), b"1", None)

    async def members(self, kind: str) -> frozenset[str]:
        """Names that have a value."""
        js = await self._js()
        try:
            info = await js.stream_info(STREAM, subjects_filter=_subject(kind, "member", "*"))
        except (NatsError, TimeoutError, OSError) as error:
            raise BusError(f"who is there can't be asked: {type(error).__name__}") from error
        return frozenset(subject.rpartition(".")[2] for subject in info.state.subjects or {})

    async def leave(self, kind: str, member: str) -> None:
        """Let the member's value end as soon as a value can."""
        await self._put(_subject(kind, "member", member), b"1", None, LEAVES)

    async def take(self, kind: str, key: str, member: str) -> int | None:
        """Write our name where there is no other."""
        subject = _subject(kind, "lease", key)
        js = await self._js()
        try:
            last = await js.get_last_msg(STREAM, subject)
        except NotFoundError:
            return await self._put(subject, member.encode(), 0)
        except (NatsError, TimeoutError, OSError) as error:
            raise BusError(f"{key} can't be read: {type(error).__name__}") from error
        if (last.data or b"") not in (b"", member.encode()):
            return None
        return await self._put(subject, member.encode(), last.seq or 0)

    async def keep(self, kind: str, key: str, member: str, revision: int) -> int | None:
        """Write our name again, if nobody wrote since."""
        return await self._put(_subject(kind, "lease", key), member.encode(), revision)

    async def release(self, kind: str, key: str, revision: int) -> None:
        """Write nobody's name."""
        await self._put(_subject(kind, "lease", key), b"", revision)

    async def _put(
        self,
        subject: str,
        value: bytes,
        expected: int | None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> int | None:
        """The revision written; None when the value is not at `expected` any more."""
        headers = dict(headers)
        if expected is not None:
            headers[str(Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value)] = str(expected)
        js = await self._js()
        try:
            stored = await js.publish(subject, value, timeout=ANSWER_S, headers=headers)
        except APIError as error:
            if error.err_code in CHANGED:
                return None
            raise BusError(f"{subject} is refused: {error.err_code}") from error
        except (NatsError, TimeoutError, OSError) as error:
            self._made = False
            raise BusError(f"{subject} can't be written: {type(error).__name__}") from error
        return int(stored.seq)

    async def _js(self) -> JetStreamContext:
        """The broker, with the bucket in it; BusError while it is away."""
        if not self._bus.connected and self._made:
            raise BusError("the broker is away")
        await self._bus.connect()
        js = self._bus.raw().jetstream(timeout=ANSWER_S)
        if not self._made:
            try:
                await self._make(js)
            except (NatsError, TimeoutError, OSError) as error:
                raise BusError(f"no leases: {type(error).__name__}") from error
            self._made = True
        return js

    async def _make(self, js: JetStreamContext) -> None:
        try:
            await js.stream_info(STREAM)
        except NotFoundError:
            if not self._owner:
                raise
            await js.add_stream(bucket_config(self._replicas))


def bucket_config(replicas: int) -> StreamConfig:
    """The stream behind the bucket, as key-value clients of the broker expect it."""
    return StreamConfig(
        name=STREAM,
        subjects=[f"$KV.{BUCKET}.>"],
        max_msgs_per_subject=1,
        max_age=TTL_S,
        max_bytes=MOST_BYTES,
        duplicate_window=TTL_S,
        storage=StorageType.MEMORY,
        num_replicas=replicas,
        allow_rollup_hdrs=True,
        deny_delete=True,
        allow_direct=False,
        allow_msg_ttl=True,
    )


def _subject(kind: str, what: str, name: str) -> str:
    return f"$KV.{BUCKET}.{kind}.{what}.{name}"
