"""compose.yaml's application half in real containers, by podman; what is not ours is stood in for.

No registry of images is asked: the base image is made of the packages of this machine's own Debian
mirror, the broker is the test extra's binary, and the database is SecantusDB, a wire server, where
compose has mongo:8. The Dockerfile, the services' settings, secrets, rights, limits, networks and
health checks are those that are shipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BASE = "docker.io/library/python:3.11-slim"
IMAGE = "wadm:local"
NEEDED = ("podman", "buildah", "runc", "debootstrap")
PACKAGES = "python3,python3-venv,python3-pip,python-is-python3,ca-certificates"
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
CONTAINERS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=2000:2000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
STORAGE = """
[storage]
driver = "{driver}"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
DATABASE = """
import json, sys
sys.path.insert(0, "/packages")
from pymongo import MongoClient
from secantus import SecantusDBServer
secret = lambda name: open(f"/run/secrets/{name}").read().strip()
server = SecantusDBServer(host="0.0.0.0", port=27017, storage_path="/data/db",
    replica_set_name="rs0", cache_size="64M", tls_cert_file="/run/secrets/mongo.pem",
    tls_key_file="/run/secrets/mongo.key")
server.start()
options = "replicaSet=rs0&directConnection=true&tls=true&tlsCAFile=/run/secrets/ca.pem"
with MongoClient(f"mongodb://127.0.0.1:27017/?{options}") as client:
    wanted = json.load(open("/deploy/mongo-roles.json"))
    for role, rights in wanted["roles"].items():
        client.admin.command("createRole", role, roles=[], privileges=[
            {"resource": {"db": "wadm", "collection": name}, "actions": right["actions"]}
            for right in rights for name in right["collections"]])
    for user, roles in wanted["users"].items():
        client.admin.command("createUser", user, pwd=secret(f"mongo-{user}.password"), roles=roles)
server.require_auth = True
print("ready", flush=True)
import signal
signal.sigwait([signal.SIGTERM])
server.stop()
"""


def missing() -> str | None:
    """Why containers can't be run here; None when they can."""
    if absent := [name for name in NEEDED if shutil.which(name, path=_path()) is None]:
        return f"{', '.join(absent)} not installed (apt-get install {' '.join(absent)})"
    return None if os.geteuid() == 0 else "containers of the tests need root"


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Box:
    """podman with a storage and a configuration of its own, kept between runs in `folder`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "containers.conf").write_text(CONTAINERS)
        self.environ = {
            **os.environ,
            "PATH": _path(),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        for driver in ("overlay", "vfs"):
            text = STORAGE.format(driver=driver, folder=folder)
            (folder / "storage.conf").write_text(text)
            if self.run("podman", "info", check=False).returncode == 0:
                break
        self.started: list[str] = []
        self.key = ""
        self.networks: list[str] = []

    def run(
        self, *words: str | Path, check: bool = True, wait_s: float = 1_800
    ) -> subprocess.CompletedProcess[str]:
        """A command with this configuration; its error output is in the failure."""
        done = subprocess.run(
            words,
            env=self.environ,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=wait_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def has(self, image: str) -> bool:
        return self.run("podman", "image", "exists", image, check=False).returncode == 0

    def base(self) -> None:
        """Debian's Python under the name the Dockerfile asks for."""
        if self.has(BASE):
            return
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        words = ["--variant=minbase", f"--include={PACKAGES}", "bookworm", tree, mirror()]
        self.run("debootstrap", *words)
        archive = self.folder / "base.tar"
        self.run("tar", "-C", tree, "-cf", archive, ".")
        self.run("podman", "import", "-q", archive, BASE)
        archive.unlink()
        shutil.rmtree(tree)

    def build(self) -> None:
        """The real Dockerfile; packages come by this machine's pip configuration."""
        mounts = []
        for source in (Path.home() / ".config/pip/pip.conf", Path("/etc/pip.conf")):
            if source.exists():
                mounts += ["--volume", f"{source}:/etc/pip.conf:ro"]
                break
        mounts += ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"]
        words = ["--isolation=chroot", "--format", "docker", "--pull-never", "--network", "host"]
        self.run("buildah", "bud", *words, *mounts, "-t", IMAGE, ".")

    # Containers

    def network(self, name: str, *words: str) -> None:
        self.run("podman", "network", "rm", "-f", name, check=False)
        self.run("podman", "network", "create", *words, name)
        self.networks.append(name)

    def start(self, name: str, image: str, *words: str, options: list[str]) -> None:
        """A container by name, in the background."""
        self.run("podman", "rm", "-f", "-t", "0", name, check=False)
        self.run("podman", "run", "-d", "--pull=never", "--name", name, *options, image, *words)
        self.started.append(name)

    def exec(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command inside; its result, good or not."""
        return self.run("podman", "exec", name, *words, check=False, wait_s=120)

    def inspect(self, name: str) -> Any:
        return json.loads(self.run("podman", "inspect", name).stdout)[0]

    def logs(self, name: str) -> str:
        done = self.run("podman", "logs", name, check=False)
        return done.stdout + done.stderr

    def until(self, what: str, condition: Any, wait_s: float = 300) -> None:
        """Wait for a condition, but not for ever."""
        deadline = time.monotonic() + wait_s
        while not condition():
            if time.monotonic() > deadline:
                told = "\n".join(f"--- {n}\n{self.logs(n)[-2500:]}" for n in self.started)
                raise AssertionError(f"{what}: not within {wait_s} s\n{told}")
            time.sleep(1)

    def close(self) -> None:
        for name in reversed(self.started):
            self.run("podman", "rm", "-f", "-t", "0", name, check=False)
        for name in self.networks:
            self.run("podman", "network", "rm", "-f", name, check=False)


def mirror() -> str:
    """The Debian mirror of this machine."""
    for path in [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt").rglob("*.sources")]:
        for line in path.read_text().splitlines():
            if found := re.match(r"(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(https?://\S+)", line):
                return found[1]
    raise AssertionError("this machine names no Debian mirror in /etc/apt")


def filled(value: Any, names: dict[str, str]) -> str:
    """A value of compose.yaml with its ${NAME:-default} filled in."""
    return VARIABLE.sub(lambda m: names.get(m[1], m[2]), str(value))


def options_of(service: Any, secrets: Any, names: dict[str, str], network: str) -> list[str]:
    """What compose would give the engine for this service."""
    options = ["--network", network, "--user", service["user"], "--memory", service["mem_limit"]]
    options += ["--read-only"] if service.get("read_only") else []
    options += [word for each in service["cap_drop"] for word in ("--cap-drop", each)]
    options += ["--security-opt", "no-new-privileges"]
    options += [word for each in service.get("tmpfs", []) for word in ("--tmpfs", _tmpfs(each))]
    for key, value in service.get("environment", {}).items():
        options += ["--env", f"{key}={filled(value, names)}"]
    for name in service.get("secrets", []):
        source = filled(secrets[name]["file"], names)
        options += ["--volume", f"{source}:/run/secrets/{name}:ro"]
    for volume in service.get("volumes", []):
        options += ["--volume", filled(volume, names)]
    return options


def _tmpfs(text: str) -> str:
    return text if "mode=" in text else f"{text},mode=1777"


def packages() -> Path:
    """Where the test extra's Python packages are."""
    return Path(sys.prefix) / f"lib/python3.{sys.version_info.minor}/site-packages"
