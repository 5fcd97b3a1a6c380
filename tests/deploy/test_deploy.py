"""What is shipped to run WADM: checked offline, as far as tools go without a container engine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from edge_support import VARIABLE, defaults

from backbone.settings import Settings
from deploy.sbom import sbom
from wadm.apart import COLLECTOR_PORTS, PROCESSOR_PORT
from wadm.secrets import make_secrets

yaml = pytest.importorskip("ruamel.yaml", reason="check-jsonschema is not installed")
HAND_MADE = {"backup.key", "grafana.password", "metrics.key"}
ONCE = {"mongo-setup", "admin"}
WATCHING = {"certbot", "prometheus", "grafana"}
"""Optional profiles of other people's images, without a health check of ours."""
"""Secrets that deploy/prepare.sh or the administrator makes."""
BROKERS = ["nats", "nats2", "nats3"]
COLLECTORS = {f"collector-{venue}{more}" for venue in COLLECTOR_PORTS for more in ("", "-b")}
OUTSIDE = {"nginx", "certbot", *COLLECTORS}


@pytest.fixture(scope="module")
def compose() -> Any:
    root = Path(__file__).resolve().parents[2]
    return yaml.YAML(typ="safe").load(root / "compose.yaml")


def tool(name: str) -> str:
    """A tool of the test extra, else of the system; without it the check is skipped."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def passes(root: Path, *words: str) -> None:
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/compose.small.yaml"])
def test_deploy_compose_schema(root: Path, name: str) -> None:
    """The compose files follow the specification; an unknown key is an error."""
    text = (root / name).read_text().replace("!override", "")
    checker = tool("check-jsonschema")
    subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", "--default-filetype", "yaml", "-"],
        input=text,
        text=True,
        check=True,
        capture_output=True,
    )


def test_deploy_dockerfile(root: Path) -> None:
    """hadolint has nothing to say."""
    passes(root, tool("hadolint"), "Dockerfile")


@pytest.mark.parametrize("name", ["deploy/prepare.sh", "deploy/renew.sh", "nginx/start.sh"])
def test_deploy_scripts(root: Path, name: str) -> None:
    """Shell scripts parse, stop at the first error and may be run."""
    passes(root, "sh", "-n", name)
    path = root / name
    assert "set -eu" in path.read_text()
    assert path.stat().st_mode & 0o111


def test_deploy_units(root: Path, tmp_path: Path) -> None:
    """systemd takes the units (with a program that exists in place of ours)."""
    analyze = tool("systemd-analyze")
    for unit in (root / "deploy/systemd").glob("*.service"):
        text = unit.read_text().replace("/opt/wadm/bin/wadm", "/bin/true")
        text = text.replace("User=wadm", "User=root").replace("Group=wadm", "Group=root")
        copy = tmp_path / unit.name.replace("@", "@x")
        copy.write_text(text)
        done = subprocess.run(
            [analyze, "verify", copy], capture_output=True, text=True, check=False
        )
        assert unit.name.replace("@", "@x") not in done.stderr, done.stderr


def test_deploy_starts_with_filled_template(root: Path, tmp_path: Path) -> None:
    """nginx/start.sh fills in every name, the environment before the defaults."""
    tool("envsubst")
    fake = tmp_path / "nginx"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "EDGE_RUN": str(tmp_path / "run")}
    environ["EDGE_UPSTREAMS"] = "server it's:1; server b:2;"
    with (tmp_path / "out").open("w") as told:
        started = subprocess.Popen(
            ["sh", root / "nginx/start.sh"],
            env=environ,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
        code = started.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)  # the loop that reloads certificates
    assert code == 0, (tmp_path / "out").read_text()
    text = (tmp_path / "run/nginx.conf").read_text()
    assert VARIABLE.search(text) is None
    assert "server it's:1; server b:2;" in text
    assert "listen 443 ssl" in text


def test_deploy_names_are_declared(root: Path) -> None:
    """Every name in template and start script has a default, and every default is used."""
    files = ("nginx/nginx.conf.template", "nginx/start.sh")
    used = {name for file in files for name in VARIABLE.findall((root / file).read_text())}
    assert used == set(defaults(root))


def test_deploy_published_ports(compose: Any) -> None:
    """80 and 443 of nginx are all that the world can reach."""
    published = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert published == {"nginx": ["80:80", "443:443"]}
    assert compose["networks"]["wadm-net"]["internal"] is True
    outside = {
        name for name, s in compose["services"].items() if "outside" in s.get("networks", [])
    }
    assert outside == OUTSIDE


def test_deploy_every_service_is_confined(compose: Any) -> None:
    """No root, no writable image, no capability, at most 1 GB, logs that end."""
    for name, service in compose["services"].items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["mem_limit"] == "1g", name
        assert service["logging"]["options"]["max-size"], name
        assert "restart" in service, name


def test_deploy_health_checks(compose: Any) -> None:
    """Every service that stays has a health check, and Docker starts it again when it ends."""
    for name, service in compose["services"].items():
        if name in ONCE:
            assert service["restart"] == "no", name
            continue
        assert service["restart"] == "unless-stopped", name
        if name not in WATCHING:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_deploy_database_fits(compose: Any) -> None:
    """WiredTiger's cache leaves the larger half of a member's 1 GB to everything else; every member
    asks for TLS, a key file and the set."""
    for name in ("mongo1", "mongo2", "mongo3"):
        words = dict(w.partition("=")[::2] for w in compose["services"][name]["command"])
        assert 0.25 <= float(words["--wiredTigerCacheSizeGB"]) < 0.5
        assert words["--tlsMode"] == "requireTLS"
        assert {"--keyFile", "--replSet", "--tlsCAFile"} <= set(words)
        assert "ports" not in compose["services"][name]


def test_deploy_small_profile(root: Path, compose: Any) -> None:
    """deploy/compose.small.yaml leaves one member and one server, and names no service or setting
    that compose.yaml has not."""
    text = (root / "deploy/compose.small.yaml").read_text().replace("!override", "")
    small = yaml.YAML(typ="safe").load(text)["services"]
    assert set(small) <= set(compose["services"])
    off = {name for name, service in small.items() if service.get("profiles") == ["large"]}
    assert off == {"server-b", "mongo2", "mongo3"}
    assert small["mongo-setup"]["environment"] == {"MONGO_MEMBERS": "mongo1"}
    assert set(small["mongo-setup"]["depends_on"]) == {"mongo1"}
    assert "server-b" not in small["nginx"]["environment"]["EDGE_UPSTREAMS"]


def test_deploy_scale_profile(root: Path, compose: Any) -> None:
    """Without deploy/scale.env there is one broker and one of each part; with it three brokers in
    one URL, redundant collectors, processors that share partitions, and one place for budgets."""
    lines = (root / "deploy/scale.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    chosen = {name: value.strip('"') for name, _, value in pairs}
    text = (root / "compose.yaml").read_text()
    used = dict(re.findall(r"\$\{(SCALE_[A-Z_]+):-([^}]*)\}", text))
    assert set(used) == set(chosen) - {"COMPOSE_PROFILES"}
    assert {used[f"SCALE_{name}"] for name in ("PROCESSORS", "PARTITIONS", "NATS_REPLICAS")} == {
        "1"
    }
    services = compose["services"]
    scaled = {name for name, service in services.items() if service.get("profiles") == ["scale"]}
    second = {name for name in COLLECTORS if name.endswith("-b")}
    assert scaled == {"nats2", "nats3", "valkey", "server-more", *second}
    assert {services[name]["environment"]["WADM_INSTANCE"] for name in second} == {"b"}
    assert chosen["SCALE_INSTANCE"] == "a"
    assert chosen["COMPOSE_PROFILES"] == "scale"
    assert chosen["SCALE_NATS_URL"].split(",") == [f"tls://{name}:4222" for name in BROKERS]
    assert int(chosen["SCALE_PARTITIONS"]) >= 2 * int(chosen["SCALE_PROCESSORS"]) > 2
    assert chosen["SCALE_LIMITS_FILE"].rpartition("/")[2] in services["server-more"]["secrets"]
    for name in ("server-a", "server-b", "server-more"):
        assert f"server {name}:8080 resolve max_fails=0;" in chosen["SCALE_UPSTREAMS"]


def test_deploy_settings_exist(compose: Any) -> None:
    """Every WADM_ variable in compose is a setting; secrets come as files only."""
    known = {f"WADM_{field.name.upper()}" for field in dataclasses.fields(Settings)}
    secret = {
        f"WADM_{field.name.upper()}" for field in dataclasses.fields(Settings) if not field.repr
    }
    for name, service in compose["services"].items():
        used = {key for key in service.get("environment", {}) if key.startswith("WADM_")}
        assert used <= known, name
        assert not used & secret, name


def test_deploy_secrets_exist(compose: Any, tmp_path: Path) -> None:
    """Every secret is one that `wadm secrets` makes; every service names declared ones."""
    made = set(make_secrets(tmp_path / "s", Path("/run/secrets"), ["nats"], ["mongo1"], BROKERS))
    declared = set(compose["secrets"])
    assert declared - HAND_MADE <= made
    assert "ca.key" not in declared
    for name, service in compose["services"].items():
        assert set(service.get("secrets", [])) <= declared, name


def test_deploy_ports_and_documents(root: Path, compose: Any) -> None:
    """Ports in health checks and in Prometheus' file are those of the code and of the page."""
    page = (root / "docs/operations.md").read_text()
    ports = {
        "collector-binance": COLLECTOR_PORTS["binance"],
        "collector-bybit": COLLECTOR_PORTS["bybit"],
        "processor": PROCESSOR_PORT,
        "server-a": Settings().port,
    }
    watched = (root / "deploy/prometheus.yml").read_text()
    for name, port in ports.items():
        assert f"127.0.0.1:{port}/livez" in str(compose["services"][name]["healthcheck"]), name
        assert f"{name}:{port}" in watched
        assert f"| {name.removesuffix('-a')} | {port} |" in page
    for name in compose["services"]:
        assert f"`{name}`" in page, name


def test_deploy_lock(root: Path) -> None:
    """The image's lock has hashes, no address, and the versions that are tested here."""
    lock = (root / "requirements.deploy.lock").read_text()
    assert "://" not in lock
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE))
    tested = dict(
        line.split("==") for line in (root / "requirements.lock").read_text().splitlines()
    )
    names = {name.lower().replace("_", "-"): version for name, version in tested.items()}
    different = {n: v for n, v in pinned.items() if names.get(n.lower().replace("_", "-"), v) != v}
    assert different == {}
    parts = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in part for part in parts)


def test_deploy_sbom(root: Path) -> None:
    """Every pinned package is a component with its hashes."""
    made = sbom((root / "requirements.deploy.lock").read_text())
    assert {"pymongo", "mcp", "uvicorn", "bcrypt"} <= {c["name"] for c in made["components"]}
    assert all(c["hashes"] for c in made["components"])
