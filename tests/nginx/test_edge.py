"""The edge: real nginx, real TLS, a server with keys behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from access_support import EVENTS, House, house
from edge_support import NAME, Edge, edge, rendered

from backbone.keys.text import new_key

pytestmark = pytest.mark.timeout(1_200)
DATA = "/volume_profile/BTCUSDT?timeframe=1h"
HALF_S, NGINX_CLOCK_S = 0.5, 0.01
"""How long nginx remembers that a key was good; it reads the clock in whole milliseconds."""
MANY = {
    "EDGE_RATE": "10000r/s",
    "EDGE_BURST": "5000",
    "EDGE_ADDRESS_RATE": "100000r/s",
    "EDGE_ADDRESS_BURST": "20000",
    "EDGE_CONNECTIONS": "2000",
}


class Front:
    """nginx, the server behind it, and a client of nginx."""

    def __init__(self, made: Edge, behind: House, client: httpx2.AsyncClient) -> None:
        self.edge = made
        self.house = behind
        self.client = client


@contextlib.asynccontextmanager
async def fronted(folder: Path, **values: str) -> AsyncIterator[Front]:
    async with contextlib.AsyncExitStack() as stack:
        behind = await stack.enter_async_context(house(folder))
        port = int(str(behind.client.base_url).rstrip("/").rpartition(":")[2])
        made = await stack.enter_async_context(edge(folder / "edge", port, **values))
        client = httpx2.AsyncClient(base_url=made.url, verify=made.tls(), timeout=20)
        yield Front(made, behind, await stack.enter_async_context(client))


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with fronted(tmp_path) as made:
        yield made


def test_configuration(tmp_path: Path) -> None:
    """nginx takes it, and nothing is left to fill in."""
    done = Edge(tmp_path / "edge", [1], {}).checked()
    assert done.returncode == 0, done.stderr
    assert "${" not in rendered({})


def test_lint(tmp_path: Path) -> None:
    """gixy finds nothing above low severity but what is meant."""
    made = Edge(tmp_path / "edge", [1], {})
    gixy = Path(sys.executable).with_name("gixy")
    if not gixy.exists():
        pytest.skip("gixy-next is not installed")
    done = subprocess.run(
        [gixy, "-f", "json", "-ll", str(made.config)], capture_output=True, text=True, check=False
    )
    found = {problem["plugin"] for problem in json.loads(done.stdout or "[]")}
    # Streams must not be buffered, and the redirect from port 80 is to a fixed name.
    assert found <= {"proxy_buffering_off"}, done.stdout


async def test_cache_is_behind_the_key(front: Front) -> None:
    """Many good requests are one to the server; one without a good key gets nothing of it."""
    key = await front.house.key()
    sent = {"X-API-Key": key}
    first = await front.client.get(DATA, headers=sent)
    assert first.status_code == 200
    several = [front.client.get(DATA, headers=sent) for _ in range(8)]
    found = await asyncio.gather(*several)
    assert {(a.status_code, a.content) for a in found} == {(200, first.content)}
    for wrong in ({}, {"X-API-Key": new_key().text}, {"X-API-Key": "x"}):
        refused = await front.client.get(DATA, headers=wrong)
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED")
    assert sum(front.house.access.usage.requests.values()) < 4
    states = [line["cache"] for line in front.edge.lines() if line["status"] == 200]
    assert "HIT" in states
    assert {line["key_id"] for line in front.edge.lines() if line["status"] == 200} == {key[5:17]}


async def test_scoped_key_is_never_served_from_the_cache(front: Front) -> None:
    """What one key may see does not answer another that may not."""
    wide = await front.house.key()
    narrow = await front.house.key(endpoints=("order_flow",))
    assert (await front.client.get(DATA, headers={"X-API-Key": wide})).status_code == 200
    refused = await front.client.get(DATA, headers={"X-API-Key": narrow})
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")


async def test_revocation_at_the_edge(front: Front) -> None:
    """What is asked half a second or more after the server knew is refused, whenever in a second
    the key was revoked; a second counts from the revocation, of which the server is the rest."""

    async def late(offset_s: float) -> float:
        key = await front.house.key()
        sent = {"X-API-Key": key}
        await asyncio.sleep(offset_s)
        assert (await front.client.get(DATA, headers=sent)).status_code == 200
        await front.house.book.revoke(key[5:17])
        await front.house.access.ring.refresh()
        known_at = asked_at = time.monotonic()
        while (await front.client.get(DATA, headers=sent)).status_code == 200:
            assert asked_at - known_at < HALF_S + NGINX_CLOCK_S
            await asyncio.sleep(0.02)
            asked_at = time.monotonic()
        return asked_at - known_at

    await asyncio.gather(*(late(number * 0.23) for number in range(5)))


async def test_budget_shows_and_holds(front: Front) -> None:
    """The fields of the budget arrive once; over the budget of the edge it is 429 with a wait."""
    key = await front.house.key()
    sent = {"X-API-Key": key}
    first = await front.client.get(DATA, headers=sent)
    assert len(first.headers.get_list("ratelimit")) == 1
    answers = [await front.client.get(DATA, headers=sent) for _ in range(70)]
    refused = [a for a in answers if a.status_code == 429]
    assert 1 <= len(refused) <= 15
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json()["code"] == "RATE_LIMIT_EXCEEDED"
    other = await front.house.key()
    assert (await front.client.get(DATA, headers={"X-API-Key": other})).status_code == 200


async def test_streams_pass_at_once(front: Front) -> None:
    """Events come one by one, uncompressed."""
    key = await front.house.key()
    async with front.client.stream("GET", "/stream", headers={"X-API-Key": key}) as answer:
        times = [time.monotonic() async for line in answer.aiter_lines() if line]
    assert len(times) == EVENTS
    assert times[-1] - times[0] > 0.02
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/_authorize", "/_edge/key"])
async def test_inner_paths_are_not_public(front: Front, path: str) -> None:
    """What is for the inside is not found from outside."""
    key = await front.house.key(endpoints=("metrics",))
    assert (await front.client.get(path, headers={"X-API-Key": key})).status_code == 404


async def test_plain_http(front: Front) -> None:
    """Port 80 answers challenges, /health and a redirect to our own name, whatever Host says."""
    challenge = front.edge.folder / "acme/.well-known/acme-challenge/token"
    challenge.write_text("proof")
    base = f"http://127.0.0.1:{front.edge.http}"
    async with httpx2.AsyncClient() as client:
        token = await client.get(f"{base}/.well-known/acme-challenge/token")
        assert token.text == "proof"
        assert (await client.get(f"{base}/health")).status_code == 200
        moved = await client.get(f"{base}/symbols?x=1", headers={"Host": "evil.example"})
        assert (moved.status_code, moved.headers["location"]) == (
            308,
            f"https://{NAME}/symbols?x=1",
        )


async def test_headers(front: Front) -> None:
    """HSTS and nosniff on every answer, good or bad; no version of anything."""
    key = await front.house.key()
    for path, headers in (
        ("/health", {}),
        (DATA, {}),
        (DATA, {"X-API-Key": key}),
        ("/metrics", {}),
    ):
        answer = await front.client.get(path, headers=headers)
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers["server"] == "nginx"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", True),
        ("https://app.example.evil", False),
        ("https://appxexample", False),
        ("http://app.example", False),
        ("null", False),
        ("", False),
    ],
)
async def test_cors(front: Front, origin: str, *, allowed: bool) -> None:
    """Only a named origin may read, asked before and asked now."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"} if origin else {}
    for method, path in (("OPTIONS", "/mcp"), ("OPTIONS", DATA), ("GET", "/health")):
        answer = await front.client.request(method, path, headers=headers)
        assert answer.status_code == (204 if method == "OPTIONS" else 200)
        found = answer.headers.get_list("access-control-allow-origin")
        assert found == ([origin] if allowed else [])


async def tls(made: Edge, context: ssl.SSLContext, name: str | None) -> ssl.SSLObject:
    reader_writer = asyncio.open_connection(
        "127.0.0.1", made.https, ssl=context, server_hostname=name or ""
    )
    _, writer = await reader_writer
    found: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return found


async def test_tls(front: Front) -> None:
    """1.2 and 1.3 with HTTP/2 and forward secrecy; nothing older, nothing weaker."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = front.edge.tls()
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        found = await tls(front.edge, context, "localhost")
        assert found.selected_alpn_protocol() == "h2"
    for ciphers in (
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA",
        "DHE-RSA-AES128-SHA",
    ):
        context = front.edge.tls()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await tls(front.edge, context, "localhost")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_tls(front: Front, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 are refused by the server's own alert."""
    context = front.edge.tls()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"ALERT_PROTOCOL_VERSION|protocol version"):
        await tls(front.edge, context, "localhost")


async def test_other_names(front: Front) -> None:
    """A name that is not ours gets no handshake, and no answer through a good one."""
    context = front.edge.tls()
    context.check_hostname = False
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await tls(front.edge, context, "evil.example")
    for host in ("evil.example", "127.0.0.1", f"{NAME}.evil.example"):
        answer = await front.client.get("/health", headers={"Host": host})
        assert answer.status_code == 421


async def test_no_key_in_any_file(front: Front) -> None:
    """A key in headers, path, query and a body is in no log, cache or other file of nginx."""
    key = await front.house.key()
    await front.client.get(DATA, headers={"X-API-Key": key})
    await front.client.get(DATA, headers={"Authorization": f"Bearer {key}"})
    for path in (f"/{key}", f"/volume_profile/{key}", f"/symbols?api_key={key}", f"/mcp?k={key}"):
        answer = await front.client.get(path, headers={"X-API-Key": key})
        assert answer.status_code == 400
        assert key[18:61] not in answer.text
    await front.client.post("/mcp", content=key, headers={"X-API-Key": key})
    for path in (p for p in front.edge.folder.rglob("*") if p.is_file()):
        assert key[18:61].encode() not in path.read_bytes(), path


async def test_server_away(tmp_path: Path) -> None:
    """Without a server it is 503 with a wait, in the form of each transport, and never 404."""
    async with (
        edge(tmp_path / "edge", 1) as made,
        httpx2.AsyncClient(base_url=made.url, verify=made.tls()) as client,
    ):
        for path in (DATA, "/health", "/openapi.json"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "NOT_READY")
            assert answer.headers["retry-after"] == "2"
        call = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert call.status_code == 503
        assert call.json()["error"]["data"]["code"] == "NOT_READY"


async def test_too_large(front: Front) -> None:
    """A body beyond 64 kB and endless headers are refused in the documented form."""
    answer = await front.client.post("/mcp", content=b"x" * 70_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "INVALID_PARAMETER")
    answer = await front.client.get("/health", headers={"X-Long": "x" * 40_000})
    assert answer.status_code in {400, 413}
