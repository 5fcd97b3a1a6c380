"""The event stream through the real nginx with TLS: nothing is held back, and both transports."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from edge_support import NAME, edge
from stream_support import Market, messages_of, served
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.timeout(600)
QUERY = "symbols=AAAUSDT&channels=bars&heartbeat_s=60"


async def test_stream_through_tls(tmp_path: Path) -> None:
    """Each change passes at once, as an event and as a message of a WebSocket; a cursor goes on
    behind the cut; another path is never upgraded."""
    market = Market()
    market.pass_ms(1_000)
    name = market.names[0]
    market.trade(name)
    async with served(market, public_hosts=NAME) as house, edge(tmp_path, house.port) as front:
        host, tls = {"Host": NAME}, front.tls()
        async with (
            asyncio.timeout(300),
            httpx2.AsyncClient(verify=tls, timeout=120) as client,
            connect(
                f"wss://localhost:{front.https}/stream?{QUERY}",
                ssl=tls,
                origin=f"https://{NAME}",  # type: ignore[arg-type]
            ) as socket,
        ):
            cursor = ""
            for trades in (1, 2, 3):
                headers = host | ({"Last-Event-ID": cursor} if cursor else {})
                address = f"{front.url}/stream?{QUERY}"
                async with client.stream("GET", address, headers=headers) as answer:
                    assert answer.status_code == 200
                    assert answer.headers["content-type"].startswith("text/event-stream")
                    messages = messages_of(answer)
                    message = await anext(messages)
                    told = json.loads(await socket.recv())
                    assert told == message
                    cursor = message["cursor"]
                    found = message.get("data") or message["items"][0]["data"]
                    assert found["total_trades"] == trades
                    await messages.aclose()  # type: ignore[attr-defined]
                market.pass_ms(1_000)
                market.trade(name)
            with pytest.raises(InvalidStatus):
                await connect(f"wss://localhost:{front.https}/symbols", ssl=tls)
