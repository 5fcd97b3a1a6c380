"""A small certificate authority that speaks ACME (RFC 8555) over TLS, for loopback.

It checks what a real one checks: each message's signature and nonce, that the account owns the
order, the HTTP-01 proof at the address where the name would point, and that the CSR names exactly
what was proven. Validity of certificates is the test's to choose.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from acme.jws import JWS
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy import b64decode, b64encode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wadm.certificates import Authority, write_private, write_public

BACKDATED = dt.timedelta(hours=1)


class Problem(Exception):  # noqa: N818 (the RFC's own word)
    """An error document."""

    def __init__(self, kind: str, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}
        self.status = status


@dataclass
class Order:
    """One name, one challenge."""

    account: str
    name: str
    token: str = field(default_factory=lambda: b64encode(secrets.token_bytes(32)).decode())
    status: str = "pending"
    challenge: str = "pending"
    chain: bytes = b""


class AcmeServer:
    """`days` is (already passed, still to come) of the certificates it issues."""

    def __init__(self, folder: Path, http_port: int) -> None:
        self.http_port = http_port
        self.days = (0, 90)
        self.issued: list[x509.Certificate] = []
        self.refused: list[str] = []
        self.url = ""
        self._nonces: set[str] = set()
        self._accounts: dict[str, Any] = {}
        self._orders: list[Order] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        web = Authority.made()
        pair = web.issue("acme", ["127.0.0.1", "localhost"])
        self.web_ca = folder / "acme-web.pem"
        write_public(self.web_ca, web.pair.certificate)
        self.certificate, self.key = folder / "acme.pem", folder / "acme.key"
        write_public(self.certificate, pair.certificate)
        write_private(self.key, pair.key)
        self.root = _signed("Test CA", None, self._key.public_key(), self._key, (0, 3_650))
        self.root_file = folder / "acme-root.pem"
        write_public(self.root_file, self.root.public_bytes(serialization.Encoding.PEM))

    def app(self) -> Starlette:
        """The routes."""
        table = {
            "account": self._account,
            "order": self._order,
            "order/{n:int}": self._show,
            "authorization/{n:int}": self._authorization,
            "challenge/{n:int}": self._challenge,
            "finalize/{n:int}": self._finalize,
            "certificate/{n:int}": self._certificate,
        }
        routes = [Route(f"/{p}", self._signed(do), methods=["POST"]) for p, do in table.items()]
        routes += [Route("/directory", self._directory), Route("/nonce", self._new_nonce)]
        return Starlette(routes=routes)

    def _nonce(self) -> dict[str, str]:
        nonce = b64encode(secrets.token_bytes(16)).decode()
        self._nonces.add(nonce)
        return {"Replay-Nonce": nonce, "Cache-Control": "no-store"}

    async def _directory(self, request: Request) -> Response:
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
        return JSONResponse({name: f"{self.url}/{path}" for name, path in names.items()})

    async def _new_nonce(self, request: Request) -> Response:
        return Response(status_code=204, headers=self._nonce())

    def _signed(self, do: Any) -> Any:
        async def handler(request: Request) -> Response:
            try:
                account, key, payload = self._opened(request, await request.body())
                answer: Response = await do(request, account, key, payload)
            except Problem as problem:
                self.refused.append(str(problem))
                kind = "application/problem+json"
                answer = JSONResponse(problem.body, problem.status, media_type=kind)
            answer.headers.update(self._nonce())
            return answer

        return handler

    def _opened(self, request: Request, body: bytes) -> tuple[str, Any, dict[str, Any]]:
        """(account, its key, payload) of a message that is signed, new and meant for this URL."""
        message = JWS.json_loads(body.decode())
        head = message.signature.combined
        nonce = b64encode(head.nonce or b"").decode()
        if nonce not in self._nonces:
            raise Problem("badNonce", "this nonce is not ours or was used")
        self._nonces.remove(nonce)
        if head.url != f"{self.url}{request.url.path}":
            raise Problem("unauthorized", "signed for another URL", 401)
        creates = request.url.path == "/account"
        key = head.jwk if creates else self._accounts.get(head.kid)
        if key is None or not message.verify(key):
            raise Problem("malformed", "no good signature of a known account")
        account = f"{self.url}/account/{b64encode(key.thumbprint()).decode()}"
        payload = message.payload
        return account, key, json.loads(payload) if payload else {}

    async def _account(self, request: Request, account: str, key: Any, body: Any) -> Response:
        known = account in self._accounts
        if not known and not body.get("termsOfServiceAgreed"):
            raise Problem("userActionRequired", "agree to the terms")
        self._accounts[account] = key
        status = {"status": "valid", "contact": body.get("contact", [])}
        return JSONResponse(status, 200 if known else 201, {"Location": account})

    async def _order(self, request: Request, account: str, key: Any, body: Any) -> Response:
        names = [each["value"] for each in body["identifiers"] if each["type"] == "dns"]
        if len(names) != 1:
            raise Problem("rejectedIdentifier", "one name an order")
        self._orders.append(Order(account, names[0]))
        return self._told(len(self._orders) - 1, 201)

    def _mine(self, request: Request, account: str) -> tuple[int, Order]:
        number = request.path_params["n"]
        if number >= len(self._orders) or self._orders[number].account != account:
            raise Problem("unauthorized", "not an order of this account", 403)
        return number, self._orders[number]

    def _told(self, number: int, status: int = 200) -> Response:
        order = self._orders[number]
        body: dict[str, Any] = {
            "status": order.status,
            "identifiers": [{"type": "dns", "value": order.name}],
            "authorizations": [f"{self.url}/authorization/{number}"],
            "finalize": f"{self.url}/finalize/{number}",
        }
        if order.chain:
            body["certificate"] = f"{self.url}/certificate/{number}"
        return JSONResponse(body, status, {"Location": f"{self.url}/order/{number}"})

    async def _show(self, request: Request, account: str, key: Any, body: Any) -> Response:
        return self._told(self._mine(request, account)[0])

    def _proof(self, number: int) -> dict[str, str]:
        order = self._orders[number]
        url = f"{self.url}/challenge/{number}"
        return {"type": "http-01", "url": url, "token": order.token, "status": order.challenge}

    async def _authorization(self, request: Request, account: str, key: Any, body: Any) -> Response:
        number, order = self._mine(request, account)
        return JSONResponse(
            {
                "status": order.challenge,
                "identifier": {"type": "dns", "value": order.name},
                "challenges": [self._proof(number)],
            }
        )

    async def _challenge(self, request: Request, account: str, key: Any, body: Any) -> Response:
        """Ask the name's port 80, which is our nginx's."""
        number, order = self._mine(request, account)
        wanted = f"{order.token}.{b64encode(key.thumbprint()).decode()}"
        url = f"http://127.0.0.1:{self.http_port}/.well-known/acme-challenge/{order.token}"
        async with httpx2.AsyncClient(timeout=30) as client:
            answer = await client.get(url, headers={"Host": order.name})
        good = answer.status_code == 200 and answer.text.strip() == wanted
        order.challenge = "valid" if good else "invalid"
        order.status = "ready" if good else "invalid"
        up = {"Link": f'<{self.url}/authorization/{number}>;rel="up"'}
        return JSONResponse(self._proof(number), headers=up)

    async def _finalize(self, request: Request, account: str, key: Any, body: Any) -> Response:
        number, order = self._mine(request, account)
        if order.status != "ready":
            raise Problem("orderNotReady", "prove the name first", 403)
        csr = x509.load_der_x509_csr(b64decode(body["csr"]))
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if names.get_values_for_type(x509.DNSName) != [order.name] or not csr.is_signature_valid:
            raise Problem("badCSR", "the request is not for the name that was proven")
        leaf = _signed(order.name, self.root, csr.public_key(), self._key, self.days)
        self.issued.append(leaf)
        pem = serialization.Encoding.PEM
        order.chain = leaf.public_bytes(pem) + self.root.public_bytes(pem)
        order.status = "valid"
        return self._told(number)

    async def _certificate(self, request: Request, account: str, key: Any, body: Any) -> Response:
        _, order = self._mine(request, account)
        return Response(order.chain, media_type="application/pem-certificate-chain")


def _signed(
    name: str, issuer: x509.Certificate | None, public: Any, key: Any, days: tuple[int, int]
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 (a certificate lives in wall time)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED - dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(names, critical=False).add_extension(above, critical=False)
    return builder.sign(key, hashes.SHA256())


@contextlib.asynccontextmanager
async def acme_server(folder: Path, http_port: int) -> AsyncIterator[AcmeServer]:
    """On a free port; it asks `http_port` of loopback for proofs."""
    made = AcmeServer(folder, http_port)
    config = uvicorn.Config(
        made.app(),
        port=0,
        log_config=None,
        ssl_keyfile=made.key,
        ssl_certfile=made.certificate,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has only a flag)
        await asyncio.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        made.url = f"https://127.0.0.1:{port}"
        yield made
    finally:
        server.should_exit = True
        await task
