"""The OAuth seam: metadata, challenges, tokens beside keys, all over real sockets."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from journeys_support import Journey, journey
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import AccessToken
from sim_support import short_tapes

from backbone.clock import wall_ms
from backbone.keys.book import KeyBook, Terms
from backbone.settings import Settings, read_settings
from mcp_server.access.oauth import WRONG_PER_MINUTE, oauth_of
from orderflow.errors import ConfigError

pytestmark = pytest.mark.timeout(1_200)
RESOURCE = "https://wadm.example.com/mcp"
ISSUER = "https://login.example.com/realms/one"
METADATA = "https://wadm.example.com/.well-known/oauth-protected-resource/mcp"
VERIFIER = "oauth_tokens:verifier"
ACCEPT = {"Accept": "application/json, text/event-stream"}
LISTING = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


class Tokens:
    """The authorization server's tokens, as a verifier sees them."""

    def __init__(self) -> None:
        self.good: dict[str, AccessToken] = {}
        self.away = False

    async def verify_token(self, token: str) -> AccessToken | None:
        if self.away:
            raise OSError("no way to the authorization server")
        return self.good.get(token)

    def add(self, text: str, **terms: Any) -> str:
        usual = {"client_id": "app", "scopes": ["wadm:read"], "resource": RESOURCE}
        self.good[text] = AccessToken(token=text, **{**usual, "subject": "ann", **terms})
        return text


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Tokens:
    made = Tokens()
    module = ModuleType("oauth_tokens")
    module.verifier = lambda settings: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "oauth_tokens", module)
    return made


@pytest.fixture
async def trip(tmp_path: Path, tokens: Tokens) -> AsyncIterator[Journey]:
    chosen = {"oauth_resource": RESOURCE, "oauth_issuers": ISSUER, "oauth_verifier": VERIFIER}
    rows = "BTCUSDT=0.05,ETHUSDT=0.05"
    async with journey(tmp_path, short_tapes(), row_sizes=rows, **chosen) as running:
        await running.until_played()
        yield running


async def asked(trip: Journey, token: str | None, **headers: str) -> httpx2.Response:
    sent = {**ACCEPT, **headers}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    return await trip.client.post(f"{trip.base_url}/mcp", json=HELLO, headers=sent)


async def test_challenges(trip: Journey, tokens: Tokens) -> None:
    """Metadata is open to all; 401 points to it; a token of another resource, a late one and one
    without the scope are refused, each with its own words; tokens never open REST."""
    place = await trip.client.get(f"{trip.base_url}/.well-known/oauth-protected-resource/mcp")
    assert place.json()["resource"] == RESOURCE
    assert place.json()["authorization_servers"] == [ISSUER]
    none = await asked(trip, None)
    assert none.status_code == 401
    told = none.headers["www-authenticate"]
    assert told == f'Bearer scope="wadm:read", resource_metadata="{METADATA}"'
    assert none.json()["id"] == 1
    tokens.add("elsewhere", resource="https://other.example.com/mcp")
    tokens.add("nowhere", resource=None)
    tokens.add("late", expires_at=wall_ms() // 1_000 - 1)
    for text in ("nonsense", "elsewhere", "nowhere", "late"):
        wrong = await asked(trip, text)
        assert wrong.status_code == 401, text
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        assert text not in wrong.text
    narrow = await asked(trip, tokens.add("narrow", scopes=["other"]))
    assert narrow.status_code == 403
    assert 'error="insufficient_scope"' in narrow.headers["www-authenticate"]
    good = tokens.add("good")
    assert (await asked(trip, good)).status_code == 200
    rest = await trip.client.get(
        f"{trip.base_url}/symbols", headers={"Authorization": f"Bearer {good}"}
    )
    assert (rest.status_code, rest.headers["www-authenticate"]) == (401, "Bearer")
    tokens.away = True
    away = await asked(trip, good)
    assert (away.status_code, away.json()["error"]["data"]["code"]) == (503, "NOT_READY")
    assert "authorization server" not in away.text


async def test_guessing_is_bounded(trip: Journey) -> None:
    """An address that sends wrong tokens is told to wait."""
    seen = [(await asked(trip, f"guess{n}")).status_code for n in range(WRONG_PER_MINUTE + 1)]
    assert seen == [401] * WRONG_PER_MINUTE + [429]


async def test_session_belongs_to_its_subject(trip: Journey, tokens: Tokens) -> None:
    """A new token of the same subject goes on with the session; another subject finds none."""
    first = tokens.add("first", claims={"iss": ISSUER})
    renewed = tokens.add("renewed", claims={"iss": ISSUER})
    other = tokens.add("other", subject="bob", claims={"iss": ISSUER})
    session = {"Mcp-Session-Id": (await asked(trip, first)).headers["mcp-session-id"]}
    for text, status in ((renewed, 200), (other, 404)):
        sent = {"Authorization": f"Bearer {text}", **session, **ACCEPT}
        answer = await trip.client.post(f"{trip.base_url}/mcp", json=LISTING, headers=sent)
        assert answer.status_code == status, text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_keys_and_tokens(trip: Journey, tokens: Tokens, mode: Any) -> None:
    """A client with a token and one with a key both get answers, in both eras."""
    text, _ = await KeyBook(trip.system.store, "test").create("t", 4, Terms())
    await trip.system.server.config.app.state.access.ring.refresh()  # type: ignore[union-attr]
    for credential in (tokens.add("good"), text.text):
        headers = {"Authorization": f"Bearer {credential}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{trip.base_url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                result = await client.call_tool("get_volume_profile", {"symbol": "BTCUSDT"})
                assert not result.is_error, result.content


def test_off_unless_whole() -> None:
    """Nothing is published unless configured; a half or unsafe configuration is refused at the
    start."""
    assert oauth_of(Settings()) is None
    whole = {"oauth_resource": RESOURCE, "oauth_issuers": ISSUER, "oauth_verifier": VERIFIER}
    for changed in (
        {"oauth_issuers": ""},
        {"oauth_resource": "http://wadm.example.com/mcp"},
        {"oauth_issuers": "https://login.example.com/?x=1"},
        {"oauth_verifier": "no.such.module:verifier"},
        {"oauth_verifier": "nothing"},
    ):
        with pytest.raises(ConfigError):
            oauth_of(read_settings({}, **{**whole, **changed}))


async def test_off_by_default(tmp_path: Path) -> None:
    """Without the settings there is no metadata, and 401 names no authorization server."""
    rows = "BTCUSDT=0.05,ETHUSDT=0.05"
    async with journey(tmp_path, short_tapes(), row_sizes=rows, keys="required") as trip:
        path = "/.well-known/oauth-protected-resource/mcp"
        assert (await trip.client.get(trip.base_url + path)).status_code == 404
        refused = await asked(trip, "nonsense")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
