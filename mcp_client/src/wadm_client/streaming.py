"""What changes, as it changes: the server's event stream, over cuts and restarts.

After a cut the stream goes on behind the last message: nothing is lost and nothing comes twice.
Where the server can't do that it says so with a `reset` and its reason, then snapshots follow.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec

from wadm_client.client import AsyncClient
from wadm_client.errors import BadAnswerError, ClientError, TooLargeError
from wadm_client.patience import worth_retrying
from wadm_client.question import Value
from wadm_client.reply import refusal
from wadm_client.wire import failure

HEARTBEAT_S = 10
LATE_BEATS = 3
"""Silent for so many heartbeats is cut off."""
MOST_REFUSAL_BYTES = 65_536


class Item(msgspec.Struct, frozen=True):
    """The state of one key of a snapshot."""

    key: str
    data: dict[str, Any]


class Message(msgspec.Struct, frozen=True):
    """One message; `type` is snapshot, upsert, final, revision, status, heartbeat or reset.

    `key` and `data` are of a change, `topic` and `items` of a snapshot, `reason` of a reset.
    """

    type: str
    cursor: str | None = None
    key: str | None = None
    data: dict[str, Any] | None = None
    topic: str | None = None
    items: tuple[Item, ...] = ()
    reason: str | None = None
    message: str | None = None
    timestamp: str | None = None
    ready: bool | None = None
    worst_lag_ms: int | None = None


class Events:
    """Lines of server-sent events into messages; at most `most_bytes` for one."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Message]:
        """Every message that is whole; BadAnswerError for what is none."""
        *whole, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > self._most_bytes:
            raise TooLargeError("a message of the stream is larger than allowed")
        found = []
        for event in whole:
            data = b"".join(
                line.removeprefix(b"data: ")
                for line in event.split(b"\n")
                if line.startswith(b"data: ")
            )
            if data:
                found.append(_message(data))
        return found


def _message(data: bytes) -> Message:
    try:
        return msgspec.json.decode(data, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadAnswerError("a message of the stream is not what it should be") from None


async def stream(
    client: AsyncClient,
    symbols: Sequence[str],
    *,
    cursor: str | None = None,
    heartbeat_s: int = HEARTBEAT_S,
    **options: Value,
) -> AsyncIterator[Message]:
    """Messages of these symbols without end; `options` as /stream takes them.

    While the server is away it waits and goes on. To resume in another process keep the newest
    `cursor` and give it here. ClientError for what asking again can't heal.
    """
    given = {name: value for name, value in options.items() if value is not None}
    asked = {"symbols": ",".join(symbols), "heartbeat_s": heartbeat_s, **given}
    failures = 0
    while True:
        try:
            async for message in _connection(client, urlencode(asked), cursor, heartbeat_s):
                failures = 0
                cursor = message.cursor or cursor
                yield message
        except ClientError as error:
            if not worth_retrying(error):
                raise
            await asyncio.sleep(client.talk.patience.wait_s(error, failures))
        else:
            await asyncio.sleep(client.talk.patience.backoff_s(failures))
        failures += 1


async def _connection(
    client: AsyncClient, query: str, cursor: str | None, heartbeat_s: int
) -> AsyncIterator[Message]:
    """One connection until it ends; a ClientError says why, when it did not end well."""
    config = client.config
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if cursor is not None:
        headers["Last-Event-ID"] = cursor
    silent_s = config.timeout_s + LATE_BEATS * heartbeat_s
    timeout = httpx2.Timeout(config.timeout_s, read=silent_s)
    url = f"{config.url}/stream?{query}"
    try:
        async with client.wire.client.stream(
            "GET", url, headers=headers, timeout=timeout
        ) as response:
            if response.status_code != 200:
                raise await _refusal(response)
            events = Events(config.most_bytes)
            async for chunk in response.aiter_raw():
                for message in events.feed(chunk):
                    yield message
    except (httpx2.HTTPError, OSError, ssl.SSLError) as error:
        raise failure(error) from None


async def _refusal(response: httpx2.Response) -> ClientError:
    """The documented error of the server, as for every answer."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_REFUSAL_BYTES:
            break
    return refusal(response.status_code, response.headers, body)
