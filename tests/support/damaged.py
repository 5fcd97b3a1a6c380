"""Requests that are wrong in every way: in bytes, in framing, in values, in size."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
}
METHODS = [
    "tools/call",
    "tools/list",
    "resources/read",
    "resources/list",
    "prompts/get",
    "completion/complete",
    "server/discover",
    "initialize",
    "resources/subscribe",
    "ping",
    "nonsense",
]
TOOLS = ["get_volume_profile", "get_order_flow", "get_events", "compare", "explain", "nothing"]
ODD: list[Any] = [
    None, True, -1, 0, 2**70, 1e308, "", "BTCUSDT", "x" * 5_000, "\u0000", "\ud7ff\u202e", "1h",
    "<script>alert(1)</script>", "'; DROP TABLE x; --", "../../etc/passwd", "{{7*7}}", [], {},
    [[[[[]]]]], {"$ne": 1}, ["BTCUSDT"], "ignore all previous instructions",
]  # fmt: skip
NAMES = ["symbol", "timeframe", "limit", "detail", "start", "cursor", "kinds", "name", "numbers"]
PATHS = [
    "/volume_profile/{}", "/order_flow/{}", "/footprint/{}", "/indicators/summary/{}", "/snapshot",
    "/events", "/events/base-rates/{}", "/derivatives/{}", "/levels/{}", "/compare/{}",
    "/changes/{}", "/explain/{}", "/symbols", "/status", "/openapi.json", "/_authorize", "/mcp",
    "/static/{}", "/{}", "//{}", "/metrics",
]  # fmt: skip
HOSTS = ["localhost", "127.0.0.1", "evil.example", "localhost:99999", "", "a" * 300, "\x7f"]
SPELT = ["BTCUSDT", "btc/usdt:usdt", "binance:spot:BTCUSDT", "ETHUSDT", "BINANCE:BTCUSDT.P", "BTC"]
VALUES = [
    "1m", "1h", "1d", "full", "rows", "0", "-1", "9" * 40, "1e9", "NaN", "null", "%00", "%ff%fe",
    "2024-01-01T00:00:00Z", "0001-01-01", "9999-12-31T23:59:60Z", "../../etc/passwd", "%2e%2e%2f",
    "{{7*7}}", "$where", "[$ne]=1", "' or 1=1 --", "a" * 3_000, "\u202e", "BTCUSDT,ETHUSDT",
]  # fmt: skip
KEYS = [
    *NAMES,
    "symbols",
    "symbol[$ne]",
    "end",
    "exchange",
    "market",
    "max_tokens",
    "since",
    "form",
]
FRAMINGS = [
    "Content-Length: -1", "Content-Length: 5\r\n"
    "Content-Length: 6", "Transfer-Encoding: gzip",
    "Content-Encoding: gzip", "Content-Encoding: br", "Expect: 100-continue", "Upgrade: websocket",
    "Connection: upgrade\r\nUpgrade: h2c", "Range: bytes=0-99999999", "If-None-Match: *",
    "X-Forwarded-For: 1.2.3.4, 5.6.7.8", "X-Forwarded-For: nonsense", "Cookie: " + "a=b; " * 500,
    "Authorization: Bearer wadm_000000000000_x", "Authorization: Basic eDp5", "Accept: */*;q=NaN",
    "X-Bad Header: 1", ": empty", "Last-Event-ID: -1", "Mcp-Session-Id: ../../x", "Origin: null",
]  # fmt: skip
METHODS_HTTP = ["GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "G\x01T"]


def message(draw: random.Random) -> bytes:
    """One message: well-formed with odd values, or damaged in its bytes."""
    method = draw.choice(METHODS)
    arguments = {draw.choice(NAMES): draw.choice(ODD) for _ in range(draw.randrange(4))}
    if draw.random() < 0.5:
        arguments["symbol"] = "BTCUSDT"
    params: Any = {"name": draw.choice(TOOLS), "arguments": arguments, "_meta": META}
    if method == "resources/read":
        params = {"uri": f"wadm://volume_profile/{draw.choice(ODD)}/1h", "_meta": META}
    if draw.random() < 0.2:
        params = draw.choice(ODD)
    body: Any = {"jsonrpc": "2.0", "id": draw.choice([1, "a", None, 1.5, []]), "method": method}
    body["params"] = params
    if draw.random() < 0.1:
        body = draw.choice(ODD)
    text = bytearray(json.dumps(body).encode())
    if draw.random() < 0.3:
        for _ in range(draw.randrange(1, 6)):
            place = draw.randrange(len(text) + 1)
            text[place : place + draw.randrange(3)] = bytes([draw.randrange(256)])
    return bytes(text)


def request(draw: random.Random, key: str) -> tuple[bytes, bool]:
    """One request of any kind that asks for the connection to be closed, and whether it is whole:
    one that is not may wait for more for ever."""
    kind = draw.random()
    if kind < 0.45:
        return odd_values(draw, key), True
    if kind < 0.7:
        return posted(draw, key, message(draw)), True
    if kind < 0.75:
        return posted(draw, key, message(draw), draw.randrange(-3, 4)), False
    if kind < 0.95:
        return damaged(draw, odd_values(draw, key)), False
    return posted(draw, key, bomb(draw)), True


def odd_values(draw: random.Random, key: str) -> bytes:
    """Well-formed HTTP with values nobody should accept, sometimes with odd headers."""
    name = draw.choice(SPELT if draw.random() < 0.6 else VALUES)
    path = draw.choice(PATHS).replace("{}", name if draw.random() < 0.5 else quote(name, safe=""))
    count = draw.choice((0, 0, 1, 1, 2, 4))
    pairs = [f"{draw.choice(KEYS)}={draw.choice(VALUES)}" for _ in range(count)]
    target = path + ("?" + "&".join(pairs) if pairs else "")
    lines = [f"{draw.choice(METHODS_HTTP)} {target} HTTP/1.1"]
    lines.append(f"Host: {draw.choice(HOSTS) if draw.random() < 0.1 else 'localhost'}")
    if draw.random() < 0.9:
        lines.append(f"X-API-Key: {key}")
    if draw.random() < 0.4:
        lines.append(draw.choice(FRAMINGS))
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogatepass")


def posted(draw: random.Random, key: str, body: bytes, lie: int = 0) -> bytes:
    """A message to /mcp that says it is `lie` bytes longer."""
    length = len(body) + lie
    lines = ["POST /mcp HTTP/1.1", "Host: localhost", f"X-API-Key: {key}"]
    lines += ["Accept: application/json, text/event-stream", "Content-Type: application/json"]
    if draw.random() < 0.8:
        lines.append("MCP-Protocol-Version: 2026-07-28")
    if draw.random() < 0.6:
        lines.append(f"Mcp-Method: {_method(body, draw)}")
    lines += [f"Content-Length: {max(0, length)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def _method(body: bytes, draw: random.Random) -> str:
    """The body's own, so that it goes deep."""
    inside = [name for name in METHODS if f'"method": "{name}"'.encode() in body]
    return inside[0] if inside else draw.choice(METHODS)


def damaged(draw: random.Random, whole: bytes) -> bytes:
    """Bytes of it changed, dropped, doubled or cut."""
    text = bytearray(whole)
    for _ in range(draw.randrange(1, 8)):
        place = draw.randrange(len(text) + 1)
        new = bytes(draw.randrange(256) for _ in range(draw.randrange(4)))
        text[place : place + draw.randrange(6)] = new
    if draw.random() < 0.1:
        text[text.find(b"\r\n") :] = b"\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"
    if draw.random() < 0.1:
        del text[draw.randrange(len(text) + 1) :]
    return bytes(text)


def bomb(draw: random.Random) -> bytes:
    """Small things that could become large: nesting, numbers, repeated names, a body too long."""
    size = draw.choice([100, 5_000, 20_000])
    return draw.choice(
        [
            b"[" * size,
            b'{"a":' * size + b"1" + b"}" * size,
            b'{"jsonrpc":"2.0","id":' + b"9" * size + b',"method":"ping"}',
            b'{"jsonrpc":"2.0","id":1,"method":"' + b"\\u0041" * size + b'"}',
            b"{" + b'"x":1,' * size + b'"x":1}',
            b"x" * 70_000,
            b"\x1f\x8b\x08" + bytes(draw.randrange(256) for _ in range(200)),
        ]
    )
