"""make test-containers: the real Dockerfile and compose's application half in real containers.

Takes minutes and root, so it runs only when asked for (CONTAINERS=1), and says why it does not.
CONTAINERS_KEEP=1 takes the image that was built before; CONTAINERS_FOLDER keeps it elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from container_support import (
    BASE,
    DATABASE,
    IMAGE,
    Box,
    filled,
    missing,
    options_of,
    packages,
)

yaml = pytest.importorskip("ruamel.yaml", reason="check-jsonschema is not installed")
ASKED = os.environ.get("CONTAINERS") == "1"
WHY = "run by `make test-containers`" if not ASKED else missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3_000),
    pytest.mark.skipif(WHY is not None, reason=f"containers: {WHY}"),
]
NETWORK = "wadm-net"
PARTS = ("processor", "collector-binance", "collector-bybit", "server-a", "server-b")
LOOPBACK = "//127.0.0.1"
MARKET = [
    f"WADM_BINANCE_SPOT_WS_URL=ws:{LOOPBACK}:9001",
    f"WADM_BINANCE_SPOT_REST_URL=http:{LOOPBACK}:9001",
    f"WADM_BINANCE_USDM_WS_URL=ws:{LOOPBACK}:9002",
    f"WADM_BINANCE_USDM_REST_URL=http:{LOOPBACK}:9002",
    f"WADM_BYBIT_WS_URL=ws:{LOOPBACK}:9003",
    f"WADM_BYBIT_REST_URL=http:{LOOPBACK}:9003",
    "WADM_CLOCK_POLL_S=1",
]
"""A simulated market shares each collector's network namespace."""
ASK = """
import sys, urllib.request as u, urllib.error as e
headers = {"X-API-Key": sys.argv[2]} if len(sys.argv) > 2 else {}
try:
    print(u.urlopen(u.Request(sys.argv[1], headers=headers), timeout=20).read().decode())
except e.HTTPError as error:
    print(error.read().decode())
    sys.exit(error.code - 300)
"""
ROUTES = (
    "print([l for l in open('/proc/net/route').read().splitlines()[1:] if l.split()[1] == '0' * 8])"
)


@pytest.fixture(scope="module")
def compose(root: Path) -> Any:
    return yaml.YAML(typ="safe").load(root / "compose.yaml")


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def box(root: Path) -> Iterator[Box]:
    """The image, built; nothing runs yet."""
    made = Box(root, Path(os.environ.get("CONTAINERS_FOLDER", root / "build/containers")))
    made.base()
    if os.environ.get("CONTAINERS_KEEP") != "1" or not made.has(IMAGE):
        made.build()
    yield made
    made.close()


@pytest.fixture(scope="module")
def home(box: Box, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What deploy/prepare.sh makes, run as it is shipped, with podman in docker's place."""
    folder = tmp_path_factory.mktemp("home")
    shim = tmp_path_factory.mktemp("shim") / "docker"
    shim.write_text(f'#!/bin/sh\nexec {shutil.which("podman", path=box.environ["PATH"])} "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}:{box.environ['PATH']}"
    before, box.environ["PATH"] = box.environ["PATH"], path
    box.run("sh", root / "deploy/prepare.sh", "localhost", folder)
    box.environ["PATH"] = before
    secrets = folder / "secrets"
    for user in ("processor", "server"):
        uri = secrets / f"mongo-{user}.uri"
        text = uri.read_text().replace("mongo1:27017,mongo2:27017,mongo3:27017", "mongo1:27017")
        uri.write_text(f"{text}&directConnection=true")
    key = (secrets / "mongo.pem").read_text()
    (secrets / "mongo.key").write_text(key[key.index("-----BEGIN PRIVATE") :])
    os.chown(secrets / "mongo.key", 10_001, 10_001)
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def names(home: Path) -> dict[str, str]:
    return {"WADM_HOME": str(home), "WADM_SYMBOLS": "BTCUSDT"}


@pytest.fixture(scope="module")
def house(box: Box, home: Path, names: dict[str, str], compose: Any, root: Path) -> Box:
    """Everything, started in compose's order."""
    box.network(NETWORK, "--internal")
    services, secrets = compose["services"], compose["secrets"]
    broker = options_of(services["nats"], secrets, names, NETWORK)
    program = Path(sys.executable).with_name("nats-server")
    broker += ["--volume", f"{program}:/usr/bin/nats-server:ro"]
    box.start("nats", BASE, "nats-server", *services["nats"]["command"], options=broker)
    database = ["--network", NETWORK, "--user", "10001:10001", "--read-only", "--cap-drop", "ALL"]
    database += ["--volume", f"{packages()}:/packages:ro", "--volume", f"{home}/mongo1:/data/db"]
    database += ["--volume", f"{home}/secrets:/run/secrets:ro", "--tmpfs", "/tmp:mode=1777"]
    database += ["--volume", f"{root}/deploy:/deploy:ro"]
    box.start("mongo1", BASE, "python", "-c", DATABASE, options=database)
    box.until("database", lambda: "ready" in box.logs("mongo1"))
    for name in PARTS:
        if name == "server-a":
            # As in the ten commands: a server beyond loopback begins with a key.
            box.until("processor healthy", lambda: healthy(box, "processor", compose))
            box.key = made_key(box, compose, names)
        service = services[name]
        options = options_of(service, secrets, names, NETWORK)
        if "collector" in name:
            options += [word for each in MARKET for word in ("--env", each)]
        box.start(name, IMAGE, *service["command"], options=options)
        if "collector" in name:
            beside = ["--network", f"container:{name}", "--user", "10001:10001", "--read-only"]
            box.start(f"market-{name}", IMAGE, "simulate", "--port", "9001", options=beside)
    return box


def healthy(box: Box, name: str, compose: Any) -> bool:
    """As compose's own health check says."""
    kind, *words = compose["services"][name]["healthcheck"]["test"]
    assert kind == "CMD"
    return box.exec(name, *words).returncode == 0


def test_image(box: Box) -> None:
    """It runs as a user without rights, has the command and nothing to build or install with."""
    found = box.inspect(IMAGE)
    assert found["Config"]["User"] == "10001:10001"
    assert found["Config"]["Entrypoint"] == ["wadm"]
    done = box.run("podman", "run", "--rm", "--pull=never", IMAGE, "--help")
    assert "collect" in done.stdout
    words = ("podman", "run", "--rm", "--pull=never", "--entrypoint", "/opt/wadm/bin/python", IMAGE)
    assert "No module named" in box.run(*words, "-m", "pip", "--version", check=False).stderr
    print(f"image: {found['Size'] / 1e6:.0f} MB")


def test_services(house: Box, compose: Any, names: dict[str, str]) -> None:
    """Every service becomes healthy by its own check, confined as compose says, and the servers
    answer with streams of both venues; the database and the broker take only who they know."""
    box = house
    for name in PARTS:
        box.until(f"{name} healthy", lambda name=name: healthy(box, name, compose))
        found = box.inspect(name)
        assert found["HostConfig"]["ReadonlyRootfs"] is True
        assert found["HostConfig"]["Memory"] == 2**30
        status = box.exec(name, "cat", "/proc/1/status").stdout
        assert "CapEff:\t0000000000000000" in status
        assert "Uid:\t10001" in status
        assert "NoNewPrivs:\t1" in status
        assert box.exec(name, "touch", "/opt/x").returncode != 0
        assert box.exec(name, "python", "-c", ROUTES).stdout.strip() == "[]"
    key = box.key

    def live() -> bool:
        done = box.exec("server-a", "python", "-c", ASK, "http://127.0.0.1:8080/status", key)
        if done.returncode != 0:
            return False
        found = json.loads(done.stdout)
        venues = {line["connection"].partition("-")[0] for line in found["feeds"]}
        states = {line["state"] for line in found["feeds"] + found["streams"]}
        return venues == {"binance", "bybit"} and states == {"live"} and found["ready"]

    box.until("both venues live", live)
    for server in ("server-a", "server-b"):
        url = f"http://{server}:8080/volume_profile/BTCUSDT?timeframe=1m"
        answer = json.loads(box.exec("server-a", "python", "-c", ASK, url, key).stdout)
        assert answer["poc"] is not None, answer
        assert box.exec("server-a", "python", "-c", ASK, url).returncode != 0


def made_key(box: Box, compose: Any, names: dict[str, str]) -> str:
    """docker compose run --rm admin keys create me"""
    options = options_of(compose["services"]["admin"], compose["secrets"], names, NETWORK)
    words = ("podman", "run", "--rm", "--pull=never", *options, IMAGE, "keys", "create", "me")
    told = box.run(*words).stdout
    return next(word for word in told.split() if word.startswith("wadm_"))


def test_killed_and_stopped(house: Box, compose: Any) -> None:
    """A killed processor goes on behind its checkpoint without a gap; every part stops by SIGTERM
    with exit code 0; no secret is in any log."""
    box = house
    box.run("podman", "kill", "--signal", "KILL", "processor")
    box.run("podman", "start", "processor")
    box.until("processor back", lambda: healthy(box, "processor", compose))
    box.until("reads on", lambda: '"gapless": true' in box.logs("processor"))
    for name in reversed(PARTS):
        box.run("podman", "stop", "-t", "60", name)
        assert box.inspect(name)["State"]["ExitCode"] == 0, box.logs(name)[-2000:]
        assert "mongodb://" not in box.logs(name)


def test_backup(house: Box, compose: Any, names: dict[str, str], home: Path) -> None:
    """compose's backup service with its own user and key writes a file that reads back whole, and
    a restore of it into an empty store is rehearsed."""
    box, service = house, compose["services"]["backup"]
    options = options_of(service, compose["secrets"], names, NETWORK)
    run = ("podman", "run", "--rm", "--pull=never", *options)
    box.run(*run, IMAGE, "backup", "create", "/backup")
    (made,) = (home / "backup").glob("*")
    told = box.run(*run, IMAGE, "backup", "check", f"/backup/{made.name}")
    assert "whole" in told.stdout + told.stderr
    sqlite = [o for o in options if o != "WADM_STORE=mongo"]
    assert filled(service["environment"]["WADM_STORE"], names) == "mongo"
    restore = ("podman", "run", "--rm", "--pull=never", *_without_env(sqlite))
    told = box.run(*restore, "--env", "WADM_STORE=sqlite", IMAGE, "restore", f"/backup/{made.name}")
    assert "restored" in told.stdout + told.stderr


def _without_env(options: list[str]) -> list[str]:
    """Options without an `--env` that lost its value."""
    kept = []
    for place, word in enumerate(options):
        if word == "--env" and "=" not in options[place + 1]:
            continue
        kept.append(word)
    return kept
