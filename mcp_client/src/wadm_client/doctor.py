"""Checks everything between this computer and an answer, and says what to do."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from wadm_client import question as ask_for
from wadm_client.client import Client
from wadm_client.config import Config
from wadm_client.errors import CertificateError, ClientError
from wadm_client.patience import Patience


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    found: str


def examine(config: Config) -> Iterator[Check]:
    """Checks in the order in which one depends on the other."""
    yield Check("address", True, config.url)
    yield Check("key", True, "given" if config.key else "none (WADM_API_KEY, WADM_API_KEY_FILE)")
    yield _folder(config.cache_dir)
    yield _try("name", lambda: _resolved(config.url))
    patience = Patience(attempts=1)
    with Client(config, patience=patience, offline=False) as client:
        reached = _try("server", lambda: _version(client))
        yield reached
        if reached.ok:
            yield _try("symbols", lambda: f"{len(client.symbols().symbols)} collected")
            yield _try("answer", lambda: _answer(client))


def _try(name: str, work: Callable[[], str]) -> Check:
    try:
        return Check(name, True, work())
    except CertificateError as error:
        return Check(name, False, f"{error}; give WADM_CA_FILE for an authority of your own")
    except (ClientError, OSError) as error:
        return Check(name, False, str(error))


def _resolved(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return str(socket.getaddrinfo(host, None)[0][4][0])


def _version(client: Client) -> str:
    status = client.status()
    ready = "ready" if status.ready else "starting"
    return f"version {status.version}, {ready}, worst lag {status.worst_lag_ms} ms"


def _answer(client: Client) -> str:
    symbols = client.symbols().symbols
    if not symbols:
        return "nothing is collected yet"
    answer = client.ask(ask_for.volume_profile(symbols[0].symbol, "1h", {}))
    quality = answer.value.quality
    state = "stale" if quality.stale else quality.completeness.state
    return f"{symbols[0].symbol} 1h: {state}, {quality.age_ms} ms old"


def _folder(folder: Path | None) -> Check:
    if folder is None:
        return Check("cache", True, "off")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{secrets.token_hex(8)}.probe"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Check("cache", False, f"{folder}: {error.strerror}")
    return Check("cache", True, str(folder))
