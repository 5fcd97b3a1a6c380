"""The broker's configuration: TLS for everybody, and for every role what it needs and no more.

A role is proven by its certificate (`verify_and_map`): there is no password to keep or to lose.
Raw trades can be published by collectors and read by the processor, by nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from backbone.bus.base import CONTEXT, REPAIRS, REPORTS, TRADES, UPDATES
from backbone.bus.wire import inbox
from collectors.venues import VENUES

API = "$JS.API"
PROCESSOR, SERVER, OPERATOR = "processor", "server", "operator"
LEASES = "leases"
"""The bucket that says which process is there and owns what."""
ANY = "*"
"""Cursors that end in a number or in a random name; a broker's wildcard is a whole name."""


@dataclass(frozen=True, slots=True)
class Role:
    """Subjects a role may publish to; it may read its own inbox only."""

    name: str
    publish: list[str] = field(default_factory=list)


def collector_role(venue: str) -> str:
    """The role of a venue's collector."""
    return f"collector-{venue}"


def roles() -> list[Role]:
    """Every role but the operator, which may do everything."""
    collectors = [
        Role(
            collector_role(venue),
            [
                f"{TRADES}.{venue}.>",
                f"{CONTEXT}.{venue}.>",
                *_tells(collector_role(venue)),
                *_knows(TRADES, CONTEXT, REPORTS),
                *_reads(REPAIRS, ANY),
                *_leases(f"{collector_role(venue)}.>"),
            ],
        )
        for venue in VENUES
    ]
    processor = Role(
        PROCESSOR,
        [
            f"{REPAIRS}.>",
            f"{UPDATES}.>",
            *_tells(PROCESSOR),
            *_makes(TRADES, CONTEXT, REPAIRS, UPDATES, REPORTS),
            *_makes_anew(TRADES, CONTEXT),
            *_knows(REPAIRS, UPDATES),
            *_reads(TRADES, ANY),
            *_reads(CONTEXT, ANY),
            *_reads(REPORTS, ANY),
            *_leases(">"),
            *(f"{API}.STREAM.{verb}.KV_{LEASES}" for verb in ("CREATE", "UPDATE")),
        ],
    )
    server = Role(SERVER, [*_reads(UPDATES, ANY), *_reads(REPORTS, ANY)])
    return [*collectors, processor, server]


def _tells(role: str) -> list[str]:
    """What a role says of itself, and each instance of it."""
    return [f"{REPORTS}.{role}", f"{REPORTS}.{role}.*"]


def _knows(*topics: str) -> list[str]:
    return [f"{API}.STREAM.INFO.{topic.upper()}" for topic in topics]


def _makes(*topics: str) -> list[str]:
    return [f"{API}.STREAM.{verb}.{t.upper()}" for t in topics for verb in ("CREATE", "UPDATE")]


def _makes_anew(*topics: str) -> list[str]:
    """For another number of partitions, and to see that nobody reads the old ones."""
    return [
        f"{API}.{verb}.{t.upper()}" for t in topics for verb in ("STREAM.DELETE", "CONSUMER.LIST")
    ]


def _reads(topic: str, name: str) -> list[str]:
    """Everything a reader of this name asks the broker for."""
    cursor = f"{topic.upper()}.{name}"
    return [
        *_knows(topic),
        f"{API}.CONSUMER.CREATE.{cursor}",
        f"{API}.CONSUMER.DELETE.{cursor}",
        f"{API}.CONSUMER.INFO.{cursor}",
        f"{API}.CONSUMER.MSG.NEXT.{cursor}",
        f"$JS.ACK.{cursor}.>",
    ]


def _leases(keys: str) -> list[str]:
    """Read and watch the whole bucket, write these keys."""
    stream = f"KV_{LEASES}"
    asked = ("CONSUMER.CREATE", "CONSUMER.DELETE", "CONSUMER.INFO", "CONSUMER.MSG.NEXT")
    return [
        f"$KV.{LEASES}.{keys}",
        f"{API}.STREAM.INFO.{stream}",
        f"{API}.STREAM.MSG.GET.{stream}",
        f"{API}.DIRECT.GET.{stream}.>",
        f"{API}.CONSUMER.CREATE.{stream}",
        *(f"{API}.{verb}.{stream}.>" for verb in asked),
        f"$JS.ACK.{stream}.>",
        f"$JS.FC.{stream}.>",
    ]


CONFIG = Template("""# Made by `wadm secrets`: TLS, a certificate of a role for everybody.
server_name: $name
listen: "$listen"
max_payload: 8MB
max_connections: 64
$advertise
tls {
  cert_file: "$folder/$name.pem"
  key_file: "$folder/$name.key"
  ca_file: "$folder/ca.pem"
  min_version: "1.2"
  verify_and_map: true
  timeout: 5
}
jetstream {
  store_dir: "$store"
  max_memory_store: 192MB
  max_file_store: 3GB
  sync_interval: "5s"
}
authorization {
  users = [
$users
    { user: "$operator" }
  ]
}
$cluster""")
CLUSTER = Template("""# Only a node's certificate names a host of the routes: no role can join.
cluster {
  name: wadm
  listen: "$listen"
  tls {
    cert_file: "$folder/$name.pem"
    key_file: "$folder/$name.key"
    ca_file: "$folder/ca.pem"
    min_version: "1.2"
    verify_cert_and_check_known_urls: true
    timeout: 5
  }
  routes = [ $routes ]
}
""")
USER = Template("""    { user: "$name", permissions: {
        publish: { allow: [$publish] }
        subscribe: { allow: ["$inbox.>"] }
    } }""")


@dataclass(frozen=True, slots=True)
class Node:
    """A broker: its name, which is its certificate's, and where it listens.

    In a cluster also where it listens to the others, what clients are told to call it, and the
    other nodes (host:port of their routes).
    """

    name: str
    listen: str
    store: Path
    cluster_listen: str = ""
    advertise: str = ""
    routes: tuple[str, ...] = ()


def nats_config(folder: Path, node: Node) -> str:
    """The file for `nats-server -c`; `folder` holds the certificates where the broker runs."""
    from wadm.certificates import subject

    users = [
        USER.substitute(
            name=subject(role.name),
            publish=", ".join(f'"{text}"' for text in role.publish),
            inbox=inbox(role.name),
        )
        for role in roles()
    ]
    cluster = CLUSTER.substitute(
        listen=node.cluster_listen,
        folder=folder,
        name=node.name,
        routes=", ".join(f'"nats-route://{route}"' for route in node.routes),
    )
    return CONFIG.substitute(
        name=node.name,
        listen=node.listen,
        folder=folder,
        store=node.store,
        advertise=f'client_advertise: "{node.advertise}"' if node.routes else "",
        users="\n".join(users),
        operator=subject(OPERATOR),
        cluster=cluster if node.routes else "",
    )
