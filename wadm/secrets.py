"""What the processes of one house prove themselves with: made once, kept in one folder.

Certificates for the broker and the database, one certificate per role, the broker's configuration
and the database's passwords. The authority's key is only needed to issue more.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_plus

from orderflow.errors import ConfigError
from wadm.certificates import Authority, write_private, write_public
from wadm.nats_config import OPERATOR, PROCESSOR, SERVER, Node, nats_config, roles

AUTHORITY = "ca"
BROKER, DATABASE, LIMITS = "nats", "mongo", "valkey"
MONGO_USERS = ("root", PROCESSOR, SERVER)
SET_NAME = "rs0"
KEY_FILE_BYTES = 741
"""988 characters in base64; `mongod --keyFile` takes at most 1,024."""
NATS_PORT, ROUTES_PORT, MONGO_PORT, LIMITS_PORT = 4_222, 6_222, 27_017, 6_379
BROKER_DATA = Path("/data")
CLUSTER_NODES = 3
LOOPBACK = ("127.0.0.1", "localhost")


def make_secrets(
    folder: Path,
    mount: Path,
    nats_hosts: Sequence[str],
    mongo_hosts: Sequence[str],
    nats_nodes: Sequence[str] = (),
) -> list[str]:
    """Everything, into an empty folder; `mount` is where the processes see it. Names of files.

    With `nats_nodes`, three names, also what a cluster of brokers needs: NODE.conf for each."""
    if nats_nodes and len(set(nats_nodes)) != CLUSTER_NODES:
        raise ConfigError(f"a cluster of brokers has {CLUSTER_NODES} nodes with different names")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: what is in use is never overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority = Authority.made()
    authority.pair.write(folder, AUTHORITY)
    for node in (Node(BROKER, f"0.0.0.0:{NATS_PORT}", BROKER_DATA), *cluster(nats_nodes)):
        hosts = [*nats_nodes, *LOOPBACK] if node.routes else [*nats_hosts, *LOOPBACK]
        authority.issue(node.name, hosts).write(folder, node.name)
        write_public(folder / f"{node.name}.conf", nats_config(mount, node).encode())
    database = authority.issue(DATABASE, [*mongo_hosts, *LOOPBACK])
    write_private(folder / f"{DATABASE}.pem", database.certificate + database.key)
    for name in (OPERATOR, *(role.name for role in roles())):
        authority.issue(name).write(folder, name)
    key = base64.b64encode(secrets.token_bytes(KEY_FILE_BYTES))
    write_private(folder / f"{DATABASE}.keyfile", key)
    for user in MONGO_USERS:
        password = secrets.token_urlsafe(32)
        write_private(folder / f"{DATABASE}-{user}.password", password.encode())
        uri = mongo_address(user, password, mongo_hosts, mount)
        write_private(folder / f"{DATABASE}-{user}.uri", uri.encode())
    _limits(folder, mount, authority)
    return sorted(path.name for path in folder.iterdir())


def cluster(names: Sequence[str]) -> list[Node]:
    """The nodes of a cluster whose hosts have these names."""
    return [
        Node(
            name,
            f"0.0.0.0:{NATS_PORT}",
            BROKER_DATA,
            cluster_listen=f"0.0.0.0:{ROUTES_PORT}",
            advertise=f"{name}:{NATS_PORT}",
            routes=tuple(f"{other}:{ROUTES_PORT}" for other in names),
        )
        for name in names
    ]


def _limits(folder: Path, mount: Path, authority: Authority) -> None:
    """What servers count budgets in together: by TLS, with a password."""
    authority.issue(LIMITS, [LIMITS, *LOOPBACK]).write(folder, LIMITS)
    password = secrets.token_urlsafe(32)
    config = limits_config(mount, LIMITS_PORT, password)
    write_private(folder / f"{LIMITS}.conf", config.encode())
    where = limits_address(LIMITS, LIMITS_PORT, password, mount)
    write_private(folder / f"{LIMITS}.uri", where.encode())


def limits_config(folder: Path, port: int, password: str) -> str:
    """The file for `valkey-server`: TLS only, nothing on disk, the oldest budgets go first."""
    return f"""# Made by `wadm secrets`.
port 0
tls-port {port}
tls-cert-file {folder / "valkey.pem"}
tls-key-file {folder / "valkey.key"}
tls-ca-cert-file {folder / "ca.pem"}
tls-auth-clients no
requirepass {password}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy volatile-ttl
"""


def limits_address(host: str, port: int, password: str, mount: Path) -> str:
    """For WADM_LIMITS_STORAGE_FILE."""
    return f"async+rediss://:{password}@{host}:{port}/0?ssl_ca_certs={mount / 'ca.pem'}"


def mongo_address(user: str, password: str, hosts: Sequence[str], mount: Path) -> str:
    """The URI of a user, for WADM_MONGO_URI_FILE."""
    where = ",".join(f"{host}:{MONGO_PORT}" for host in hosts)
    return (
        f"mongodb://{quote_plus(user)}:{quote_plus(password)}@{where}/"
        f"?replicaSet={SET_NAME}&authSource=admin&tls=true&tlsCAFile={mount / 'ca.pem'}"
    )
