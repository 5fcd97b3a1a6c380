"""POST to where a rule's target is, and nowhere else.

A name is resolved here, every address of it must be public, and the connection goes to the address
that was looked at: an answer of the name service that changes afterwards leads nowhere. Redirects
are not followed, proxies of the environment not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from orderflow.errors import ConfigError

WHOLE_S = 20.0
STEP_S = 10.0
MOST_READ = 2_048
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reply(NamedTuple):
    """What came back; the body is cut."""

    status: int
    retry_after: str | None
    body: bytes


class UnsentError(Exception):
    """Nothing came back; the text holds no address and no secret."""


class ForbiddenAddressError(ConfigError):
    """The target lies where no alert may go."""


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet, whatever it is wrapped in."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


class Reach:
    """Posts with bounded time and bounded reading. `context` verifies certificates."""

    def __init__(self, *, allow_private: bool, context: ssl.SSLContext | None = None) -> None:
        self.allow_private = allow_private
        self.context = context or ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One POST; ForbiddenAddressError before anything is sent, UnsentError without answer."""
        try:
            async with asyncio.timeout(WHOLE_S):
                return await self._post(url, headers, body)
        except TimeoutError:
            raise UnsentError(f"no answer within {WHOLE_S:.0f} s") from None
        except (httpx2.HTTPError, OSError) as error:
            raise UnsentError(type(error).__name__) from None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        scheme, host, port = self.checked(url)
        address = await self.address_of(host, port)
        parts = urlsplit(url)
        inside = f"[{address}]" if ":" in address else address
        path = parts.path or "/"
        target = f"{scheme}://{inside}:{port}{path}" + (f"?{parts.query}" if parts.query else "")
        sent = {"User-Agent": "wadm-alerts", **headers, "Host": parts.netloc}
        async with self._client() as client:
            request = client.build_request("POST", target, headers=sent, content=body)
            request.extensions["sni_hostname"] = host
            response = await client.send(request, stream=True)
            try:
                read = b""
                async for piece in response.aiter_raw():
                    read += piece
                    if len(read) >= MOST_READ:
                        break
            finally:
                await response.aclose()
        return Reply(response.status_code, response.headers.get("Retry-After"), read[:MOST_READ])

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(
            timeout=STEP_S, verify=self.context, trust_env=False, follow_redirects=False
        ) as client:
            yield client

    def checked(self, url: str) -> tuple[str, str, int]:
        """Scheme, host and port of a URL that may be asked; the error does not repeat it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigError("the target's URL is none") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ConfigError("the target's URL must begin with https://")
        if parts.username is not None or parts.password is not None:
            raise ConfigError("the target's URL must hold no user or password")
        if parts.scheme == "http" and not self.allow_private:
            raise ForbiddenAddressError(
                "the target's URL must begin with https:// (WADM_ALERTS_PRIVATE=on allows http)"
            )
        return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)

    async def address_of(self, host: str, port: int) -> str:
        """The first address of a name, when all of them may be asked."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise UnsentError("the name of the target is not known") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not self.allow_private and not all(is_public(address) for address in addresses):
            raise ForbiddenAddressError(
                "the target has a private address; WADM_ALERTS_PRIVATE=on allows that"
            )
        return addresses[0]
