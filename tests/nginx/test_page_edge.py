"""The page through the real nginx with TLS: it and its assets pass, nothing else does."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from edge_support import NAME, edge
from stream_support import Market, served

from mcp_server.dashboard import POLICY

pytestmark = pytest.mark.timeout(600)


async def test_page_through_tls(tmp_path: Path) -> None:
    """Page and assets come without a key, packed, with policy and caching untouched; answers about
    the market want the key as ever."""
    market = Market()
    market.pass_ms(1_000)
    market.trade(market.names[0])
    async with (
        served(market, public_hosts=NAME, keys="required") as house,
        edge(tmp_path, house.port) as front,
        httpx2.AsyncClient(verify=front.tls(), timeout=120, headers={"Host": NAME}) as client,
    ):
        page = await client.get(f"{front.url}/")
        assert page.status_code == 200
        assert page.headers["Content-Security-Policy"] == POLICY
        assert page.headers["Cache-Control"] == "no-cache"
        assert page.headers.get_list("X-Content-Type-Options") == ["nosniff"]
        found = re.findall(r'"\./(assets/[^"]+)"', page.text)
        assert len(found) >= 3
        for name in found:
            asset = await client.get(f"{front.url}/{name}")
            assert asset.status_code == 200
            assert asset.headers["Content-Encoding"] == "gzip"
            assert "immutable" in asset.headers["Cache-Control"]
        tag = {"If-None-Match": page.headers["ETag"]}
        assert (await client.get(f"{front.url}/", headers=tag)).status_code == 304
        for path in ("symbols", "status", "stream?symbols=AAAUSDT"):
            assert (await client.get(f"{front.url}/{path}")).status_code == 401
        assert (await client.get(f"{front.url}/assets/absent.js")).status_code == 404
