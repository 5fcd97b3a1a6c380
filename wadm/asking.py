"""Questions to the running server over its REST, for commands that show or watch its answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from backbone.settings import Settings
from orderflow.errors import ConfigError, WadmError

ASK_S = 15.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (asked, not bound)
Parameters = Mapping[str, str | int | None]


class UnreachableError(WadmError):
    """No server answers where the settings say it is."""


class RefusedError(WadmError):
    """The server answered no; `code` and `status` are its own, `retry_after_s` its pause."""

    def __init__(self, message: str, status: int, code: str, retry_after_s: int | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


def base_url(settings: Settings) -> str:
    """Where the running server is asked."""
    host = EVERYWHERE.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.port}{settings.base_path.rstrip('/')}"


def key_header(settings: Settings) -> dict[str, str]:
    """The key of WADM_API_KEY_FILE as a header; empty without that setting."""
    if not settings.api_key_file:
        return {}
    try:
        return {"X-API-Key": Path(settings.api_key_file).read_text().strip()}
    except OSError as error:
        raise ConfigError("WADM_API_KEY_FILE can't be read") from error


def checked(response: httpx2.Response) -> dict[str, Any]:
    """The answer's data; RefusedError with the server's own words, which name the fix."""
    try:
        data: Any = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        data = None
    if response.status_code == 200 and isinstance(data, dict):
        return data
    told: dict[str, Any] = data if isinstance(data, dict) else {}
    message = str(told.get("message") or f"the server answered HTTP {response.status_code}")
    if response.status_code == 401:
        message += "; name the file with the key in WADM_API_KEY_FILE"
    after = told.get("retry_after")
    wait_s = int(after) if isinstance(after, int | float) else None
    raise RefusedError(message, response.status_code, str(told.get("code") or ""), wait_s)


def unreachable(settings: Settings) -> UnreachableError:
    """The error of a server that is not there, with what to do."""
    return UnreachableError(
        f"no server answers on {settings.host}:{settings.port}; start it: wadm up"
    )


def ask(settings: Settings, path: str, parameters: Parameters) -> dict[str, Any]:
    """One answer; parameters that are None are left out. UnreachableError or RefusedError."""
    given = {name: str(value) for name, value in parameters.items() if value is not None}
    try:
        response = httpx2.get(
            base_url(settings) + path, params=given, timeout=ASK_S, headers=key_header(settings)
        )
    except httpx2.HTTPError:
        raise unreachable(settings) from None
    return checked(response)


class Asker:
    """The same over one connection that stays open."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = httpx2.AsyncClient(
            base_url=base_url(settings), timeout=ASK_S, headers=key_header(settings)
        )

    async def __call__(self, path: str, parameters: Parameters) -> dict[str, Any]:
        """One answer; UnreachableError or RefusedError."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        try:
            response = await self.client.get(path, params=given)
        except httpx2.HTTPError:
            raise unreachable(self.settings) from None
        return checked(response)

    async def close(self) -> None:
        """Close the connection."""
        await self.client.aclose()
