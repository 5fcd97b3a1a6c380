"""OAuth: /mcp as a resource server, off unless configured.

Who issues tokens is the operator's choice, so there is a seam and no authorization server: the
setting names a function that takes the settings and gives a `TokenVerifier` of the SDK (one async
method, `verify_token(token) -> AccessToken | None`). Clients find the issuer through the metadata
of RFC 9728, which every 401 points to. API keys go on working beside tokens.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backbone.clock import wall_ms
from backbone.keys.key import ApiKey
from backbone.settings import Settings
from mcp_server.access.failures import Failures
from mcp_server.binding import is_loopback
from orderflow.errors import ConfigError, ForbiddenError, NotReadyError, UnauthorizedError

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken, TokenVerifier

log = structlog.get_logger()

WELL_KNOWN = "/.well-known/oauth-protected-resource"
WRONG_PER_MINUTE = 30
MOST_KNOWN = 10_000
LONGEST_TOKEN = 8_192
NEEDED = "WADM_OAUTH_RESOURCE, WADM_OAUTH_ISSUERS and WADM_OAUTH_VERIFIER belong together"
REFUSED = "the token is not good for this server; get a new one from the authorization server"


class ScopeError(ForbiddenError):
    """A good token without the scope that is needed."""


class OAuth:
    """Tokens in, callers out; `resource` is the public address of /mcp."""

    def __init__(
        self, resource: str, issuers: tuple[str, ...], scope: str, verifier: TokenVerifier
    ) -> None:
        self.resource = resource.rstrip("/")
        self.issuers = issuers
        self.scope = scope
        self.verifier = verifier
        self._wrong = Failures(WRONG_PER_MINUTE)
        self._known: OrderedDict[str, ApiKey] = OrderedDict()

    @property
    def path(self) -> str:
        """Where the metadata is: the well-known prefix goes before the resource's own path."""
        return WELL_KNOWN + urlsplit(self.resource).path

    def route(self) -> Route:
        """The metadata, for everybody and from any page."""
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}

        async def metadata(_: Request) -> Response:
            return JSONResponse(self.metadata(), headers=headers)

        return Route(self.path, metadata)

    def metadata(self) -> dict[str, Any]:
        """As RFC 9728 has it."""
        return {
            "resource": self.resource,
            "authorization_servers": list(self.issuers),
            "scopes_supported": [self.scope],
            "bearer_methods_supported": ["header"],
            "resource_name": "WADM order flow",
        }

    def challenge(self, error: str | None) -> str:
        """The WWW-Authenticate value; `error` when a token was sent."""
        parts = urlsplit(self.resource)
        fields = {"error": error, "scope": self.scope}
        fields["resource_metadata"] = f"{parts.scheme}://{parts.netloc}{self.path}"
        return "Bearer " + ", ".join(f'{k}="{v}"' for k, v in fields.items() if v is not None)

    async def caller(self, token: str, address: str) -> ApiKey:
        """Whom the token stands for; UnauthorizedError, ScopeError or NotReadyError."""
        self._wrong.check(address)
        try:
            found = await self.verifier.verify_token(token) if len(token) < LONGEST_TOKEN else None
        except Exception as error:
            log.warning("oauth.verifier_failed", kind=type(error).__name__)
            raise NotReadyError("tokens can't be checked right now", retry_after_s=5) from error
        if found is None or not self._is_ours(found):
            self._wrong.note(address)
            raise UnauthorizedError(REFUSED)
        if self.scope not in found.scopes:
            raise ScopeError(f"the token needs the scope {self.scope}")
        return self._kept(found)

    def known(self, caller_id: str) -> ApiKey | None:
        """The caller as the newest good token has it: a session outlives one token."""
        return self._known.get(caller_id)

    def _is_ours(self, token: AccessToken) -> bool:
        """Made for this resource and not over."""
        if token.expires_at is not None and token.expires_at * 1_000 <= wall_ms():
            return False
        return (token.resource or "").rstrip("/") == self.resource

    def _kept(self, token: AccessToken) -> ApiKey:
        issuer = str((token.claims or {}).get("iss", ""))
        who = "\n".join((issuer, token.client_id, token.subject or ""))
        expires_ms = None if token.expires_at is None else token.expires_at * 1_000
        name = f"oauth-{hashlib.sha256(who.encode()).hexdigest()[:24]}"
        made = ApiKey(id=name, name="oauth", hash="", created_ms=0, expires_ms=expires_ms)
        self._known[name] = made
        self._known.move_to_end(name)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return made


def oauth_of(settings: Settings) -> OAuth | None:
    """As configured; None when it is off. ConfigError names what is missing or wrong."""
    resource, verifier = settings.oauth_resource, settings.oauth_verifier
    issuers = tuple(part.strip() for part in settings.oauth_issuers.split(",") if part.strip())
    if not (resource or issuers or verifier):
        return None
    if not (resource and issuers and verifier):
        raise ConfigError(NEEDED)
    for address in (resource, *issuers):
        parts = urlsplit(address)
        safe = parts.scheme == "https" or (
            parts.scheme == "http" and is_loopback(parts.hostname or "")
        )
        if not safe or not parts.netloc or parts.query or parts.fragment:
            raise ConfigError("OAuth addresses are https addresses without query or fragment")
    return OAuth(resource, issuers, settings.oauth_scope, _verifier(verifier, settings))


def _verifier(place: str, settings: Settings) -> TokenVerifier:
    module, _, name = place.partition(":")
    try:
        made: TokenVerifier = getattr(importlib.import_module(module), name)(settings)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            "WADM_OAUTH_VERIFIER must be module:function, which takes the settings"
        ) from error
    return made
