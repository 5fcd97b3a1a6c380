"""Who may do what in the database: the document, the set-up that applies it, and what is asked.

The wire server of the tests enforces actions for a whole database; that no right is used on a
collection it was not given for is checked against the commands that the stores really send.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from mongo_support import MongoServer, mongo_server
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent
from pymongo.monitoring import CommandSucceededEvent as Succeeded

from backbone.audit import append_audit, audit_entries
from backbone.clock import wall_ms
from backbone.keys.book import KeyBook, Terms
from backbone.metrics import metrics_record
from backbone.parts import PartMinute
from backbone.store import mongo_client
from backbone.store.base import (
    AUDIT,
    COLLECTIONS,
    FOOTPRINTS,
    KEY_USAGE,
    SYSTEM_METRICS,
    Query,
    Record,
)
from backbone.store.mongo import MongoStore
from backbone.store.mongo_schema import CHECKPOINTS, FENCES, META
from mcp_server.access.usage import Usage

DATABASE = "wadm"
PROCESSOR, SERVER = "wadmProcessor", "wadmServer"
EVERYTHING = {*COLLECTIONS, CHECKPOINTS, FENCES, META}
READS = {"find", "collStats", "dbStats", "listCollections", "listIndexes"}
MAKES = {"createCollection", "createIndex", "collMod"}
ACTIONS = {
    "find": {"find"},
    "distinct": {"find"},
    "aggregate": {"find"},
    "insert": {"insert"},
    "update": {"update"},
    "delete": {"remove"},
    "findAndModify": {"find", "update"},
    "create": {"createCollection"},
    "createIndexes": {"createIndex"},
    "collMod": {"collMod"},
    "collStats": {"collStats"},
    "listCollections": {"listCollections"},
    "listIndexes": {"listIndexes"},
}
"""What `mongod` asks for each command; an upsert needs `insert` besides."""
FREE = {"hello", "ping", "endSessions", "commitTransaction", "abortTransaction", "getMore"}
HARNESS = """
const fs = require('fs');
const vm = require('vm');
const [script, roles, members] = process.argv.slice(2);
const asked = [];
const note = (name) => (...words) => { asked.push([name, ...words]); };
const admin = {
    runCommand: (command) => {
        asked.push(['runCommand', command]);
        return command.replSetGetStatus ? { ok: 0 } : { ok: 1 };
    },
    hello: () => ({ isWritablePrimary: true }),
    getRole: () => null, getUser: () => null,
    createRole: note('createRole'), createUser: note('createUser'),
};
const read = (path) => (path.startsWith('/run/secrets/')
    ? `${path.slice(13)}-secret\\n` : fs.readFileSync(roles, 'utf8'));
vm.runInNewContext(fs.readFileSync(script, 'utf8'), {
    require: () => ({ readFileSync: read }), process: { env: { MONGO_MEMBERS: members } },
    Mongo: function Mongo(uri) { asked.push(['uri', uri]); this.getDB = () => admin; },
    sleep: () => {}, print: () => {}, encodeURIComponent, JSON, Object,
});
console.log(JSON.stringify(asked));
"""


@pytest.fixture(scope="module")
def document() -> Any:
    root = Path(__file__).resolve().parents[2]
    return json.loads((root / "deploy/mongo-roles.json").read_text())


@pytest.fixture(scope="module")
def server(document: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A database whose roles and users were made as the set-up of compose makes them."""
    with mongo_server(tmp_path_factory.mktemp("roles")) as started:
        with MongoClient[dict[str, Any]](started.uri()) as client:
            for role in document["roles"]:
                client.admin.command(
                    "createRole", role, privileges=privileges(document, role), roles=[]
                )
            for user, roles in document["users"].items():
                client.admin.command("createUser", user, pwd=f"{user}-word", roles=roles)
        yield started


def privileges(document: Any, role: str) -> list[dict[str, Any]]:
    return [
        {"resource": {"db": DATABASE, "collection": name}, "actions": right["actions"]}
        for right in document["roles"][role]
        for name in right["collections"]
    ]


def allowed(document: Any, role: str, collection: str) -> set[str]:
    """Actions a role has on a collection."""
    return {
        action
        for right in document["roles"][role]
        if {"", collection} & set(right["collections"])
        for action in right["actions"]
    }


class Heard(CommandListener):
    """What was asked of the database: (command, collection, whether it may insert)."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str, bool]] = set()

    def started(self, event: CommandStartedEvent) -> None:
        command = event.command
        target = command[event.command_name]
        updates = command.get("updates", [command])
        upserts = any(update.get("upsert") for update in updates)
        name = target if isinstance(target, str) else ""
        self.asked.add((event.command_name, name, upserts))

    def succeeded(self, event: Succeeded) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...

    def needed(self) -> set[tuple[str, str]]:
        """(collection, action) of everything that was asked."""
        return {
            (collection, action)
            for command, collection, upserts in self.asked
            if command not in FREE
            for action in ACTIONS[command] | ({"insert"} if upserts else set())
        }


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    listener = Heard()

    def client(uri: str, **options: Any) -> Any:
        return pymongo.AsyncMongoClient(uri, event_listeners=[listener], **options)

    monkeypatch.setattr(mongo_client, "AsyncMongoClient", client)
    return listener


def record(collection: str = FOOTPRINTS) -> Record:
    now = wall_ms()
    return Record(collection, "v:spot:A", "1m", 60_000, 0, 1, 1, now + 10**7, {"a": 1})


def test_document(document: Any) -> None:
    """The processor may read, write and make what it stores; the server adds to three collections;
    nobody may change or remove an entry of the audit, and no right is wider than that."""
    assert document["users"] == {"processor": [PROCESSOR], "server": [SERVER]}
    for name in EVERYTHING:
        writes = {"insert"} if name == AUDIT else {"insert", "update", "remove"}
        assert allowed(document, PROCESSOR, name) == READS | MAKES | writes, name
        counted = {"insert", "update"} if name in {KEY_USAGE, SYSTEM_METRICS} else set()
        counted = {"insert"} if name == AUDIT else counted
        assert allowed(document, SERVER, name) == READS | counted, name
    assert allowed(document, PROCESSOR, "another") == READS | MAKES
    assert allowed(document, SERVER, "another") == READS


async def test_processor(server: MongoServer, document: Any, heard: Heard) -> None:
    """Everything that the processor and an administrator do, with the processor's user: each
    command is one that its role was given for that collection."""
    store = MongoStore(server.uri("processor", "processor-word"), DATABASE)
    await store.open("live")
    await store.put([record(name) for name in COLLECTIONS])
    fence = await store.take("partitions-2/0")
    await store.put([record()], fence)
    await store.save_checkpoints({"a": b"1"}, fence)
    await store.load_checkpoints()
    await store.query(Query(FOOTPRINTS, "v:spot:A", "1m", 0, 10**6, wall_ms()))
    await store.sweep(wall_ms())
    await store.sizes()
    began, book = wall_ms(), KeyBook(store)
    _, key = await book.create("desk", 4, Terms())
    await book.revoke(key.id)
    told = [entry.get("action") for entry in await audit_entries(store, began)]
    assert told[:2] == ["key.create", "key.revoke"]
    await store.close()
    assert {(AUDIT, "insert"), (CHECKPOINTS, "update"), (META, "update")} <= heard.needed()
    refused = {(c, a) for c, a in heard.needed() if a not in allowed(document, PROCESSOR, c)}
    assert refused == set()


async def test_server(server: MongoServer, document: Any, heard: Heard) -> None:
    """What a server does, with its own user; anything that removes or makes is refused."""
    processor = MongoStore(server.uri("processor", "processor-word"), DATABASE)
    await processor.open("live")
    await processor.put([record()])
    await processor.close()
    heard.asked.clear()
    uri = server.uri("server", "server-word")
    store = MongoStore(uri, DATABASE, read_only=True)
    await store.open("live")
    assert await store.query(Query(FOOTPRINTS, "v:spot:A", "1m", 0, 10**6, wall_ms()))
    await KeyBook(store).any_active()
    usage = Usage(store)
    usage.requests["k"] += 1
    await usage.flush()
    await store.put([metrics_record(PartMinute("server-1", 1, wall_ms(), {"cpu_ms": 1}))])
    await append_audit(store, "server", "seen", {})
    await store.sizes()
    await store.close()
    assert {(KEY_USAGE, "update"), (SYSTEM_METRICS, "update"), (AUDIT, "insert")} <= heard.needed()
    refused = {(c, a) for c, a in heard.needed() if a not in allowed(document, SERVER, c)}
    assert refused == set()
    with MongoClient[dict[str, Any]](uri) as client:
        database = client[DATABASE]
        for work in (
            lambda: database[KEY_USAGE].delete_many({}),
            lambda: database.drop_collection(KEY_USAGE),
            lambda: database[KEY_USAGE].create_index("body"),
            lambda: client["other"][KEY_USAGE].insert_one({}),
            lambda: client.admin.command("createUser", "x", pwd="y", roles=["root"]),
        ):
            with pytest.raises(OperationFailure, match="not authorized"):
                work()


def test_set_up_script(root: Path, document: Any, tmp_path: Path) -> None:
    """deploy/mongo-setup.js initiates the set and makes exactly the document's roles and users
    (run in node with the shell's functions noted instead of done)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    harness = tmp_path / "harness.js"
    harness.write_text(HARNESS)
    roles = root / "deploy/mongo-roles.json"
    words = [node, harness, root / "deploy/mongo-setup.js", roles, "mongo1,mongo2,mongo3"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    asked: list[Any] = json.loads(done.stdout)
    assert asked[0][1].startswith(
        "mongodb://root:mongo-root.password-secret@mongo1:27017/?tls=true"
    )
    initiated = asked[2][1]["replSetInitiate"]
    assert [m["host"] for m in initiated["members"]] == [f"mongo{n}:27017" for n in (1, 2, 3)]
    made = {a[1]["role"]: a[1]["privileges"] for a in asked if a[0] == "createRole"}
    assert made == {role: privileges(document, role) for role in document["roles"]}
    users = {a[1]["user"]: a[1] for a in asked if a[0] == "createUser"}
    assert {name: user["roles"] for name, user in users.items()} == document["users"]
    assert users["server"]["pwd"] == "mongo-server.password-secret"
