"""A scan of the edge's TLS, and its matrix of Origin, Host and route."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from access_support import house
from edge_support import NAME, edge
from tls_scan import VERSIONS, accepted, chosen, client_hello, takes_sslv2

pytestmark = pytest.mark.timeout(240)
FORWARD_SECRET_AEAD = {
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305",
    0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
}
COMPRESSION = b"\1\0"


async def test_scan(tmp_path: Path) -> None:
    """Of all 65,536 suite numbers nothing is taken below TLS 1.2, and there only forward secrecy
    with authenticated encryption; no SSLv2, no compression, no foreign name."""
    async with edge(tmp_path / "edge", 1) as made:
        found = {
            name: await accepted(made.https, version, NAME) for name, version in VERSIONS.items()
        }
        assert not await takes_sslv2(made.https)
        suites = sorted(FORWARD_SECRET_AEAD)
        hello = client_hello(VERSIONS["TLSv1.2"], suites, NAME)
        assert await chosen(made.https, hello) is not None
        foreign = client_hello(VERSIONS["TLSv1.2"], suites, "evil.example")
        assert await chosen(made.https, foreign) is None
        squeezed = client_hello(VERSIONS["TLSv1.2"], suites, NAME, COMPRESSION)
        answer = await chosen(made.https, squeezed)
        assert answer is None or answer[1] in FORWARD_SECRET_AEAD
    print(
        {name: [FORWARD_SECRET_AEAD.get(n, hex(n)) for n in taken] for name, taken in found.items()}
    )
    assert found["SSLv3"] == found["TLSv1.0"] == found["TLSv1.1"] == []
    assert found["TLSv1.2"]
    assert set(found["TLSv1.2"]) <= set(FORWARD_SECRET_AEAD)


ORIGINS = {"": True, "https://app.example": True, "https://evil.example": False, "null": False}
HOSTS = {NAME: True, "localhost": True, "evil.example": False, "127.0.0.1": False}
ROUTES = ("/health", "/volume_profile/BTCUSDT", "/mcp", "/openapi.json")


async def test_matrix(tmp_path: Path) -> None:
    """As docs/operations.md has it: a foreign Host gets 421 whatever else is right; an Origin that
    was not named gets no permission to read, one that was gets exactly its own name."""
    async with house(tmp_path / "server") as behind:
        port = int(str(behind.client.base_url).rstrip("/").rpartition(":")[2])
        key = await behind.key(per_minute=10_000)
        wide = {"EDGE_BURST": "5000", "EDGE_ADDRESS_BURST": "5000"}
        async with (
            edge(tmp_path / "edge", port, **wide) as made,
            httpx2.AsyncClient(base_url=made.url, verify=made.tls(), timeout=60) as client,
        ):
            for host, ours in HOSTS.items():
                for origin, named in ORIGINS.items():
                    for route in ROUTES:
                        sent = {"Host": host, "X-API-Key": key}
                        if origin:
                            sent["Origin"] = origin
                        method = "POST" if route == "/mcp" else "GET"
                        answer = await client.request(method, route, headers=sent)
                        case = (host, origin, route)
                        assert answer.status_code == (200 if ours else 421), case
                        allowed = answer.headers.get_list("access-control-allow-origin")
                        assert allowed == ([origin] if ours and named and origin else []), case
                        assert "set-cookie" not in answer.headers
                        assert "access-control-allow-credentials" not in answer.headers
