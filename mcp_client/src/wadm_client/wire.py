"""HTTP, sync and async, on httpx2: bounded bodies, a deadline, certificates always verified."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import httpx2

from wadm_client.config import Config
from wadm_client.errors import (
    CertificateError,
    ClientError,
    ConfigError,
    SlowError,
    UnreachableError,
)
from wadm_client.question import Question
from wadm_client.reply import Body, Reply, reply

MOST_CONNECTIONS = 16
AGENT = "wadm-client"


def trust(config: Config) -> ssl.SSLContext | bool:
    """The system's authorities, or the one file of authorities that was given."""
    if config.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(config.ca_file))
    except (OSError, ssl.SSLError):
        raise ConfigError("WADM_CA_FILE names no readable file of certificates") from None


def options(config: Config) -> dict[str, Any]:
    """Arguments of the httpx2 client: no redirects, they would carry the key elsewhere."""
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": AGENT}
    if config.key:
        headers["X-API-Key"] = config.key
    return {
        "headers": headers,
        "verify": trust(config),
        "timeout": config.timeout_s,
        "follow_redirects": False,
        "limits": httpx2.Limits(max_connections=MOST_CONNECTIONS),
    }


def failure(error: Exception) -> ClientError:
    """Our error for one of httpx2 or the system, without addresses or keys."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return CertificateError(f"the server's certificate was refused: {seen.verify_message}")
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return SlowError("no whole answer within the time limit")
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return UnreachableError("the connection ended in the middle of the answer")
    return UnreachableError("the server cannot be reached")


def conditional(etag: str | None) -> dict[str, str]:
    """Headers that ask for 304."""
    return {} if etag is None else {"If-None-Match": etag}


class SyncWire:
    """One pool of connections."""

    def __init__(self, config: Config, transport: httpx2.BaseTransport | None = None) -> None:
        self.config = config
        self.client = httpx2.Client(**options(config), transport=transport)

    def send(self, question: Question[Any], etag: str | None) -> Reply:
        """One request; a ClientError says what went wrong."""
        url, limit_s = self.config.url + question.target, self.config.timeout_s + question.wait_s
        until_s, headers = time.monotonic() + limit_s, conditional(etag)
        try:
            with self.client.stream("GET", url, headers=headers, timeout=limit_s) as response:
                body = Body(response.headers.get("content-encoding", ""), self.config.most_bytes)
                for chunk in response.iter_raw():
                    body.feed(chunk)
                    if time.monotonic() > until_s:
                        raise TimeoutError
                return reply(response.status_code, response.headers, body.finish())
        except (httpx2.HTTPError, OSError, ssl.SSLError) as error:
            raise failure(error) from None

    def close(self) -> None:
        """Close all connections."""
        self.client.close()


class AsyncWire:
    """One pool of connections."""

    def __init__(self, config: Config, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.config = config
        self.client = httpx2.AsyncClient(**options(config), transport=transport)

    async def send(self, question: Question[Any], etag: str | None) -> Reply:
        """One request; a ClientError says what went wrong."""
        url, limit_s = self.config.url + question.target, self.config.timeout_s + question.wait_s
        headers = conditional(etag)
        try:
            async with (
                asyncio.timeout(limit_s),
                self.client.stream("GET", url, headers=headers, timeout=limit_s) as response,
            ):
                body = Body(response.headers.get("content-encoding", ""), self.config.most_bytes)
                async for chunk in response.aiter_raw():
                    body.feed(chunk)
                return reply(response.status_code, response.headers, body.finish())
        except (httpx2.HTTPError, OSError, ssl.SSLError) as error:
            raise failure(error) from None

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
