"""Certificates from an authority: issued through our port 80, renewed, and read by nginx."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from access_support import house
from acme_server import AcmeServer, acme_server
from cryptography import x509
from edge_support import NAME, ROOT, Edge, binary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
certbot = pytest.importorskip("certbot", reason="certbot is not installed")
WAIT_S = 90.0
if shutil.which("envsubst") is None:
    pytest.skip("envsubst (gettext) is not installed", allow_module_level=True)


class Machine:
    """A host with our scripts, where certbot knows this authority and nginx is started by
    nginx/start.sh."""

    def __init__(self, folder: Path, edge: Edge, authority: AcmeServer) -> None:
        self.edge, self.authority = edge, authority
        self.tls = folder / "tls"
        self.letsencrypt = folder / "letsencrypt"
        bin_dir = folder / "bin"
        for path in (self.tls, self.letsencrypt, bin_dir):
            path.mkdir()
        # What the container's folders are, in the one place where certbot looks by itself.
        settings = folder / "config/letsencrypt/cli.ini"
        settings.parent.mkdir(parents=True)
        settings.write_text(
            f"server = {authority.url}/directory\nconfig-dir = {self.letsencrypt}\n"
            f"work-dir = {folder}/work\nlogs-dir = {folder}/logs\n"
            "no-random-sleep-on-renew = true\n"
        )
        scripts = {
            "nginx": f'exec {binary()} -e {edge.errors} "$@"',
            "certbot": f'exec {sys.executable} -c "from certbot.main import main; main()" "$@"',
        }
        for name, line in scripts.items():
            (bin_dir / name).write_text(f"#!/bin/sh\n{line}\n")
            (bin_dir / name).chmod(0o755)
        own = {
            "EDGE_MODULES": "user root;" if os.geteuid() == 0 else "",
            "EDGE_CERTIFICATE": str(self.tls / "fullchain.pem"),
            "EDGE_CERTIFICATE_KEY": str(self.tls / "privkey.pem"),
            "EDGE_CERTIFICATE_CHECK_S": "1",
        }
        self.environ = {
            **os.environ,
            **edge.values,
            **own,
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "REQUESTS_CA_BUNDLE": str(authority.web_ca),
            "LETSENCRYPT_DIR": str(self.letsencrypt),
            "ACME_DIR": edge.values["EDGE_ACME"],
            "TLS_DIR": str(self.tls),
            "RENEW_EVERY_S": "1",
        }

    def self_signed(self) -> int:
        """The first start, before there is anything better; its serial number."""
        pem = (self.edge.folder / "tls.pem").read_bytes()
        (self.tls / "fullchain.pem").write_bytes(pem)
        (self.tls / "privkey.pem").write_bytes((self.edge.folder / "tls.key").read_bytes())
        return x509.load_pem_x509_certificate(pem).serial_number

    @contextlib.asynccontextmanager
    async def running(self, script: str) -> AsyncIterator[None]:
        """One of our scripts, and all it started, until the end."""
        process = await asyncio.create_subprocess_exec(
            "sh", str(ROOT / script), env=self.environ, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()

    async def certbot(self, *words: str) -> None:
        """certbot, once."""
        process = await asyncio.create_subprocess_exec("certbot", *words, env=self.environ)
        assert await process.wait() == 0

    async def served(self) -> int:
        """Serial number of the certificate that a new client meets; 0 while nobody listens."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", self.edge.https, ssl=context, server_hostname=NAME
            )
        except OSError:
            return 0
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return x509.load_der_x509_certificate(found).serial_number

    async def until_served(self, serial: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.served() != serial:  # noqa: ASYNC110 (a process)
                await asyncio.sleep(0.1)


async def asked(machine: Machine, statuses: list[int]) -> None:
    """Clients that come anew all the time, whatever the certificate."""
    while True:
        async with httpx2.AsyncClient(verify=False, timeout=30) as client:
            url = f"https://127.0.0.1:{machine.edge.https}/health"
            extensions = {"sni_hostname": NAME}
            answer = await client.get(url, headers={"Host": NAME}, extensions=extensions)
            statuses.append(answer.status_code)
        await asyncio.sleep(0.05)  # below what an address may ask


async def test_issued_and_renewed(tmp_path: Path) -> None:
    """The documented command gets a first certificate through port 80; nginx serves it by itself;
    near its end our script renews it, and nobody's request fails while nginx changes over."""
    async with house(tmp_path / "server") as behind:
        port = int(str(behind.client.base_url).rstrip("/").rpartition(":")[2])
        edge = Edge(tmp_path / "edge", [port], {})
        async with acme_server(tmp_path, edge.http) as authority:
            machine = Machine(tmp_path, edge, authority)
            first = machine.self_signed()
            async with machine.running("nginx/start.sh"):
                await machine.until_served(first)
                statuses: list[int] = []
                asking = asyncio.create_task(asked(machine, statuses))
                authority.days = (80, 10)  # near its end on the day it is issued
                webroot = ("--webroot", "--webroot-path", machine.environ["ACME_DIR"])
                mine = ("-d", NAME, "--agree-tos", "-m", "you@example.com")
                await machine.certbot("certonly", *webroot, *mine)
                authority.days = (0, 90)
                async with machine.running("deploy/renew.sh"):
                    async with asyncio.timeout(WAIT_S):
                        while len(authority.issued) < 2:  # noqa: ASYNC110 (a process)
                            await asyncio.sleep(0.1)
                    await machine.until_served(authority.issued[1].serial_number)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                await check_trusted(machine)
            assert authority.refused == []
    assert len(authority.issued) == 2
    assert statuses
    assert set(statuses) == {200}


async def check_trusted(machine: Machine) -> None:
    """The key stays with its owner; the chain leads to the authority."""
    context = ssl.create_default_context(cafile=str(machine.authority.root_file))
    async with httpx2.AsyncClient(verify=context, timeout=60) as client:
        url = f"https://127.0.0.1:{machine.edge.https}/health"
        answer = await client.get(url, headers={"Host": NAME}, extensions={"sni_hostname": NAME})
    assert answer.status_code == 200
    assert (machine.tls / "privkey.pem").stat().st_mode & 0o077 == 0


async def test_wrong_proof(tmp_path: Path) -> None:
    """A name whose port 80 is not ours gets no certificate, and the old one stays."""
    edge = Edge(tmp_path / "edge", [1], {})
    async with acme_server(tmp_path, edge.http) as authority:
        machine = Machine(tmp_path, edge, authority)
        first = machine.self_signed()
        async with machine.running("nginx/start.sh"):
            await machine.until_served(first)
            (tmp_path / "elsewhere").mkdir()
            webroot = ("--webroot", "--webroot-path", str(tmp_path / "elsewhere"))
            mine = ("-d", NAME, "--agree-tos", "-m", "you@example.com")
            with pytest.raises(AssertionError):
                await machine.certbot("certonly", *webroot, *mine)
            assert await machine.served() == first
        assert authority.issued == []
        assert list(machine.letsencrypt.glob("live/*/fullchain.pem")) == []
