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
DERIVATIVES = "derivatives"
"""The processor's second cursor, on `context`."""


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
                f"{REPORTS}.{collector_role(venue)}",
                *_knows(TRADES, CONTEXT, REPORTS),
                *_reads(REPAIRS, collector_role(venue)),
            ],
        )
        for venue in VENUES
    ]
    processor = Role(
        PROCESSOR,
        [
            f"{REPAIRS}.>",
            f"{UPDATES}.>",
            f"{REPORTS}.{PROCESSOR}",
            *_makes(TRADES, CONTEXT, REPAIRS, UPDATES, REPORTS),
            *_knows(REPAIRS, UPDATES),
            *_reads(TRADES, PROCESSOR),
            *_reads(CONTEXT, DERIVATIVES),
            *_reads(REPORTS, PROCESSOR),
        ],
    )
    reader = f"{SERVER}-*"
    server = Role(SERVER, [*_reads(UPDATES, reader), *_reads(REPORTS, reader)])
    return [*collectors, processor, server]


def _knows(*topics: str) -> list[str]:
    return [f"{API}.STREAM.INFO.{topic.upper()}" for topic in topics]


def _makes(*topics: str) -> list[str]:
    return [f"{API}.STREAM.{verb}.{t.upper()}" for t in topics for verb in ("CREATE", "UPDATE")]


def _reads(topic: str, name: str) -> list[str]:
    """Everything a reader of this name asks the broker for."""
    stream = topic.upper()
    cursor = f"{stream}.*" if name.endswith("*") else f"{stream}.{name}"
    return [
        *_knows(topic),
        f"{API}.CONSUMER.CREATE.{cursor}",
        f"{API}.CONSUMER.DELETE.{cursor}",
        f"{API}.CONSUMER.INFO.{cursor}",
        f"{API}.CONSUMER.MSG.NEXT.{cursor}",
        f"$JS.ACK.{cursor}.>",
    ]


CONFIG = Template("""# Made by `wadm secrets`: one node, TLS, a certificate of a role for everybody.
server_name: wadm
listen: "$listen"
max_payload: 8MB
max_connections: 64
tls {
  cert_file: "$folder/nats.pem"
  key_file: "$folder/nats.key"
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
""")
USER = Template("""    { user: "$name", permissions: {
        publish: { allow: [$publish] }
        subscribe: { allow: ["$inbox.>"] }
    } }""")


def nats_config(folder: Path, listen: str, store: Path) -> str:
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
    return CONFIG.substitute(
        listen=listen,
        folder=folder,
        store=store,
        users="\n".join(users),
        operator=subject(OPERATOR),
    )
