"""The web page at `/`: files built by `make dashboard`, read once, served without a key.

They show nothing of the market: the page asks the same REST as everybody, with the caller's key.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}
ASKED_AGAIN = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"
"""The name of an asset holds the hash of what is in it."""


class StaticFile:
    """One file, plain and packed, with its validator."""

    def __init__(self, path: Path, caching: str) -> None:
        self.plain = path.read_bytes()
        self.packed = gzip.compress(self.plain, 9, mtime=0)
        self.kind = KINDS[path.suffix]
        self.tag = f'W/"{hashlib.sha256(self.plain).hexdigest()[:32]}"'
        self.caching = caching

    def answer(self, request: Request) -> Response:
        """The file, or 304 for who has it."""
        headers = HEADERS | {"Cache-Control": self.caching, "ETag": self.tag}
        if request.headers.get("if-none-match") == self.tag:
            return Response(None, 304, headers)
        accepted = request.headers.get("accept-encoding", "")
        if "gzip" in {part.partition(";")[0].strip() for part in accepted.split(",")}:
            return Response(self.packed, 200, headers | {"Content-Encoding": "gzip"}, self.kind)
        return Response(self.plain, 200, headers, self.kind)


def dashboard_routes(base: str, folder: Path = STATIC) -> list[Route]:
    """The page and its assets under the base path."""
    page = StaticFile(folder / "index.html", ASKED_AGAIN)
    assets = {path.name: StaticFile(path, FOR_EVER) for path in (folder / "assets").iterdir()}

    async def index(request: Request) -> Response:
        return page.answer(request)

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return found.answer(request)

    async def below(request: Request) -> Response:
        # The page's own addresses are relative: they need the slash.
        return RedirectResponse(f"{base}/", 308)

    routes = [Route(f"{base}/", index), Route(f"{base}/assets/{{name}}", asset)]
    return [*routes, Route(base, below)] if base else routes
