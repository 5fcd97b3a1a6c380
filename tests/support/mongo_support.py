"""A real MongoDB wire server with WiredTiger storage, with users and TLS; and a set of three.

The server is one process' SecantusDB. `ReplicaProxy` makes three members out of it: each has its
own TLS port, one is primary, and a member can be killed; what is behind them is the same data, so
it proves our driver settings and our retries, not replication.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import bson
from bson.objectid import ObjectId
from pymongo import MongoClient
from secantus import SecantusDBServer

from wadm.certificates import Authority, write_private, write_public

SET_NAME = "rs0"
ROOT = ("root", "root-secret")
URI_VARIABLE = "MONGO_TEST_URI"
HELLO = {"hello", "ismaster", "isMaster"}
WRITES = {
    "insert",
    "update",
    "delete",
    "findAndModify",
    "create",
    "createIndexes",
    "drop",
    "dropDatabase",
    "collMod",
    "commitTransaction",
    "abortTransaction",
}
OP_MSG, OP_QUERY = 2013, 2004


class MongoServer:
    """One server, reached at `uri()`."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        self.pair_file = folder / "mongo.pem"
        authority = Authority.made()
        pair = authority.issue("mongo", ["127.0.0.1", "localhost"])
        write_public(self.ca_file, authority.pair.certificate)
        write_private(self.pair_file, pair.certificate + pair.key)
        write_private(folder / "mongo.key", pair.key)
        self.server = SecantusDBServer(
            port=0,
            storage_path=str(folder / "db"),
            replica_set_name=SET_NAME,
            cache_size="64M",
            ttl_sweep_seconds=1,
            tls_cert_file=str(self.pair_file),
            tls_key_file=str(folder / "mongo.key"),
        )

    def start(self) -> None:
        """Start, make the first user, and let nobody else in from then on."""
        self.server.start()
        with MongoClient(self._address() + self._options()) as client:
            client.admin.command("createUser", ROOT[0], pwd=ROOT[1], roles=["root"])
        self.server.require_auth = True

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.address[1])

    def _address(self, user: str = "") -> str:
        return f"mongodb://{user}127.0.0.1:{self.port}"

    def _options(self) -> str:
        return f"/?replicaSet={SET_NAME}&tls=true&tlsCAFile={self.ca_file}"

    def uri(self, user: str = ROOT[0], password: str = ROOT[1]) -> str:
        """For a client."""
        return self._address(f"{user}:{password}@") + self._options()

    def add_user(self, name: str, password: str, role: str, database: str) -> None:
        """A user with one role on one database."""
        with MongoClient(self.uri()) as client:
            roles = [{"role": role, "db": database}]
            client.admin.command("createUser", name, pwd=password, roles=roles)


@contextlib.contextmanager
def mongo_uri(folder: Path) -> Iterator[str]:
    """The URI of a server: the one that `make test-mongo URI=…` names, else one of our own."""
    named = os.environ.get(URI_VARIABLE)
    if named:
        yield named
        return
    with mongo_server(folder) as server:
        yield server.uri()


@contextlib.contextmanager
def mongo_server(folder: Path) -> Iterator[MongoServer]:
    """A server of our own."""
    server = MongoServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.server.stop()


def drop_database(uri: str, name: str) -> None:
    """What a test wrote."""
    with MongoClient(uri) as client:
        client.drop_database(name)


class ReplicaProxy:
    """Three members in front of one server."""

    def __init__(self, backend: MongoServer, members: int = 3) -> None:
        self.backend = backend
        self.primary: int | None = 0
        self.up = [True] * members
        self.ports = [0] * members
        self.term = 1
        self.stepped_down: int | None = None
        self.listeners: list[asyncio.Server | None] = [None] * members
        self.writers: list[set[asyncio.StreamWriter]] = [set() for _ in range(members)]
        self.serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.serving.load_cert_chain(backend.pair_file)
        self.asking = ssl.create_default_context(cafile=str(backend.ca_file))

    @property
    def uri(self) -> str:
        """The set."""
        hosts = ",".join(self.hosts)
        return (
            f"mongodb://{ROOT[0]}:{ROOT[1]}@{hosts}/?replicaSet={SET_NAME}&tls=true"
            f"&tlsCAFile={self.backend.ca_file}&heartbeatFrequencyMS=500"
        )

    @property
    def hosts(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.ports]

    async def revive(self, member: int) -> None:
        """Listen (again)."""
        self.up[member] = True
        listener = await asyncio.start_server(
            lambda reader, writer: self._serve(member, reader, writer),
            "127.0.0.1",
            self.ports[member],
            ssl=self.serving,
        )
        self.listeners[member] = listener
        self.ports[member] = listener.sockets[0].getsockname()[1]

    def kill(self, member: int) -> None:
        """Stop listening and cut every connection; a primary is missed until `elect`."""
        self.up[member] = False
        listener = self.listeners[member]
        assert listener is not None
        listener.close()
        for writer in list(self.writers[member]):
            writer.transport.abort()
        if self.primary == member:
            self.primary = None

    def elect(self) -> None:
        """Another member that is up becomes primary, if a majority is up."""
        self.term += 1
        alive = [member for member, up in enumerate(self.up) if up and member != self.stepped_down]
        self.primary = alive[0] if 2 * sum(self.up) > len(self.up) else None

    async def _serve(
        self, member: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.writers[member].add(writer)
        back_writer: asyncio.StreamWriter | None = None
        try:
            back_reader, back_writer = await asyncio.open_connection(
                "127.0.0.1", self.backend.port, ssl=self.asking
            )
            while True:
                await self._exchange(member, (reader, writer), (back_reader, back_writer))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.writers[member].discard(writer)
            for each in (writer, back_writer):
                if each is not None:
                    each.transport.abort()

    async def _exchange(
        self,
        member: int,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """One request and all its replies."""
        request_id, kind, body = await _message(client[0])
        command = ""
        if kind == OP_MSG and body[4] == 0:
            size = struct.unpack_from("<i", body, 5)[0]
            document = bson.decode(body[5 : 5 + size])
            command = next(iter(document))
            if command in HELLO:
                document.pop("topologyVersion", None)
                document.pop("maxAwaitTimeMS", None)
                body = struct.pack("<I", 0) + b"\0" + bson.encode(document)
        elif kind == OP_QUERY:
            command = "hello"
        if command == "replSetStepDown":
            self.stepped_down, self.primary = member, None
            asyncio.get_running_loop().call_later(1, self.elect)
            await _send(client[1], 0, request_id, OP_MSG, _reply({"ok": 1.0}))
            return
        if command in WRITES and self.primary != member:
            await _send(client[1], 0, request_id, OP_MSG, _not_primary())
            return
        await _send(server[1], request_id, 0, kind, body)
        if kind == OP_MSG and struct.unpack_from("<I", body)[0] & 2:
            return
        more = True
        while more:
            _, reply_kind, reply = await _message(server[0])
            more = reply_kind == OP_MSG and bool(struct.unpack_from("<I", reply)[0] & 2)
            start = 5 if reply_kind == OP_MSG else 20
            if command in HELLO:
                reply = reply[:start] + bson.encode(self._hello(member, bson.decode(reply[start:])))
            await _send(client[1], 0, request_id, reply_kind, reply)

    def _hello(self, member: int, reply: dict[str, Any]) -> dict[str, Any]:
        primary = self.primary == member
        for name in ("primary", "electionId", "topologyVersion"):
            reply.pop(name, None)
        reply |= {
            "setName": SET_NAME,
            "setVersion": 1,
            "hosts": self.hosts,
            "me": self.hosts[member],
            "isWritablePrimary": primary,
            "ismaster": primary,
            "secondary": not primary,
        }
        if self.primary is not None:
            reply["primary"] = self.hosts[self.primary]
        if primary:
            reply["electionId"] = ObjectId(self.term.to_bytes(12, "big"))
        return reply


@contextlib.asynccontextmanager
async def replica_set(server: MongoServer) -> AsyncIterator[ReplicaProxy]:
    """Three members, the first one primary."""
    proxy = ReplicaProxy(server)
    for member in range(len(proxy.up)):
        await proxy.revive(member)
    try:
        yield proxy
    finally:
        for member, up in enumerate(proxy.up):
            if up:
                proxy.kill(member)
        while any(proxy.writers):  # noqa: ASYNC110 (aborted connections end in a turn or two)
            await asyncio.sleep(0.01)


def _not_primary() -> bytes:
    error = {
        "ok": 0.0,
        "code": 10107,
        "codeName": "NotWritablePrimary",
        "errmsg": "not primary",
        "errorLabels": ["RetryableWriteError"],
    }
    return _reply(error)


def _reply(document: dict[str, Any]) -> bytes:
    return struct.pack("<I", 0) + b"\0" + bson.encode(document)


async def _message(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """(request id, kind, body)."""
    size, request_id, _, kind = struct.unpack("<iiii", await reader.readexactly(16))
    return request_id, kind, await reader.readexactly(size - 16)


async def _send(
    writer: asyncio.StreamWriter, request_id: int, answers: int, kind: int, body: bytes
) -> None:
    writer.write(struct.pack("<iiii", 16 + len(body), request_id, answers, kind) + body)
    await writer.drain()
