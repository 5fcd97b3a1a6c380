"""The connection to MongoDB: what a URI must say, and what is the same for everybody.

Whatever the URI says, a write is acknowledged by a majority with its journal, and is retried.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from backbone.settings import Settings
from orderflow.errors import ConfigError

SELECTION_MS = 5_000
CONNECT_MS = 5_000
HEARTBEAT_MS = 2_000
MOST_CONNECTIONS = 20
WITHOUT_USER = frozenset({"MONGODB-X509"})


def mongo_uri(settings: Settings) -> str:
    """The URI of the settings, from its file where one is named; ConfigError when it won't do."""
    uri = settings.mongo_uri
    if settings.mongo_uri_file:
        try:
            uri = Path(settings.mongo_uri_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"WADM_MONGO_URI_FILE can't be read: {type(error).__name__}"
            ) from error
    if not uri:
        raise ConfigError("WADM_STORE=mongo needs WADM_MONGO_URI or WADM_MONGO_URI_FILE")
    _check(uri)
    return uri


def _check(uri: str) -> None:
    """A set, a user and TLS: what a URI has to name. No part of it enters a message."""
    try:
        parsed = parse_uri(uri)
    except (PyMongoError, ValueError):
        raise ConfigError(
            "WADM_MONGO_URI must look like "
            "mongodb://USER:PASSWORD@HOST:27017/?replicaSet=rs0&tls=true&tlsCAFile=FILE, "
            "with user and password percent-encoded"
        ) from None
    options = {name.lower(): value for name, value in parsed["options"].items()}
    if not options.get("replicaset"):
        raise ConfigError("WADM_MONGO_URI must name the replica set: ?replicaSet=rs0")
    if not parsed["username"] and options.get("authmechanism") not in WITHOUT_USER:
        raise ConfigError("WADM_MONGO_URI must name a user: the database is never left open")
    if not options.get("tls") and not all(_loopback(host) for host, _ in parsed["nodelist"]):
        raise ConfigError("WADM_MONGO_URI must ask for TLS (tls=true) beyond this machine")
    if options.get("tlsinsecure") or options.get("tlsallowinvalidcertificates"):
        raise ConfigError("WADM_MONGO_URI must verify the certificate: name a CA with tlsCAFile")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.endswith(".sock")


def connect(uri: str) -> AsyncMongoClient[dict[str, Any]]:
    """A client for the running event loop; it connects when it is first asked."""
    named = {name.lower() for name in parse_uri(uri)["options"]}
    chosen: dict[str, Any] = {
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": CONNECT_MS,
        "heartbeatFrequencyMS": HEARTBEAT_MS,
        "maxPoolSize": MOST_CONNECTIONS,
    }
    options = {name: value for name, value in chosen.items() if name.lower() not in named}
    return AsyncMongoClient(
        uri,
        appname="wadm",
        w="majority",
        journal=True,
        retryWrites=True,
        retryReads=True,
        readConcernLevel="majority",
        **options,
    )


def within(seconds: float) -> Any:
    """Every operation inside, with all its retries, ends after this long."""
    return pymongo.timeout(seconds)
