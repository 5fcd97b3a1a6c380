"""The firewall of docs/operations.md, as it is written there, between network namespaces: packets
of a client go through a host that publishes ports of a container as Docker does.

Part of `make test-containers` (CONTAINERS=1): it needs root, and each closed port is waited for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENT, HOST, BOX = "wadm-fw-client", "wadm-fw-host", "wadm-fw-box"
PUBLISHED = (80, 443, 8080)
"""8080 stands for a port that was published by mistake."""
OWN = (22, 9000)
"""Of the host itself: SSH, and something that nobody should reach."""
WIRES = f"""
ip netns add {CLIENT}
ip netns add {HOST}
ip netns add {BOX}
ip link add c0 netns {CLIENT} type veth peer name eth0 netns {HOST}
ip link add b0 netns {BOX} type veth peer name br0 netns {HOST}
ip -n {CLIENT} addr add 192.0.2.2/24 dev c0
ip -n {HOST} addr add 192.0.2.1/24 dev eth0
ip -n {HOST} addr add 172.30.0.1/24 dev br0
ip -n {BOX} addr add 172.30.0.2/24 dev b0
ip -n {CLIENT} link set c0 up
ip -n {HOST} link set eth0 up
ip -n {HOST} link set lo up
ip -n {HOST} link set br0 up
ip -n {BOX} link set b0 up
ip -n {BOX} route add default via 172.30.0.1
ip netns exec {HOST} sysctl -qw net.ipv4.ip_forward=1
ip netns exec {HOST} iptables -t nat -A POSTROUTING -s 172.30.0.0/24 -o eth0 -j MASQUERADE
ip netns exec {HOST} iptables -N DOCKER-USER
ip netns exec {HOST} iptables -A FORWARD -j DOCKER-USER
ip netns exec {HOST} iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
ip netns exec {HOST} iptables -A FORWARD -d 172.30.0.2 -o br0 -p tcp -j ACCEPT
ip netns exec {HOST} iptables -A FORWARD -i br0 -j ACCEPT
"""
LISTEN = """
import socket, sys
held = [socket.create_server(("0.0.0.0", int(port))) for port in sys.argv[1:]]
print("ready", flush=True)
sys.stdin.read()
"""
KNOCK = """
import socket, sys
open_ports = []
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), timeout=4).close()
        open_ports.append(int(port))
    except OSError:
        pass
print(*open_ports)
"""


def _missing() -> str | None:
    if os.environ.get("CONTAINERS") != "1":
        return "run by `make test-containers`"
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [name for name in ("ip", "iptables", "sysctl") if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    probe = subprocess.run(["ip", "netns", "add", "wadm-fw-probe"], capture_output=True)
    subprocess.run(["ip", "netns", "del", "wadm-fw-probe"], capture_output=True)
    return None if probe.returncode == 0 else "network namespaces can't be made here"


def run(*words: str) -> str:
    """A command that has to work."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def within(name: str, *words: str) -> str:
    """The same inside a namespace."""
    return run("ip", "netns", "exec", name, *words)


def reached(name: str, address: str, *ports: int) -> set[int]:
    """Which of the ports answer."""
    told = within(name, sys.executable, "-c", KNOCK, address, *(str(port) for port in ports))
    return {int(word) for word in told.split()}


def documented() -> tuple[list[str], list[str]]:
    """(ufw, iptables) commands of the page."""
    page = (ROOT / "docs/operations.md").read_text()
    block = next(b for b in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "ufw" in b)
    lines = block.splitlines()
    ufw = [part for line in lines if line.startswith("ufw") for part in line.split(" && ")]
    return ufw, [line for line in lines if line.startswith("iptables")]


@pytest.fixture
def net() -> Iterator[None]:
    """The three namespaces, published ports and listeners; nothing is closed yet."""
    if why := _missing():
        pytest.skip(why)
    listeners = []
    try:
        for line in WIRES.strip().splitlines():
            run(*line.split())
        for port in PUBLISHED:
            rule = f"iptables -t nat -A PREROUTING -i eth0 -p tcp --dport {port} -j DNAT"
            within(HOST, *rule.split(), "--to-destination", f"172.30.0.2:{port}")
        for name, ports in ((HOST, OWN), (BOX, PUBLISHED), (CLIENT, (7777,))):
            command = ["ip", "netns", "exec", name, sys.executable, "-c", LISTEN]
            listener = subprocess.Popen(
                [*command, *(str(port) for port in ports)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            listeners.append(listener)
            assert listener.stdout is not None
            assert listener.stdout.readline() == b"ready\n"
        yield
    finally:
        for listener in listeners:
            listener.communicate()
        for name in (CLIENT, HOST, BOX):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_published_ports(net: None) -> None:
    """Without the rules every published port is open; with them 80 and 443 alone, while answers to
    what a container asks outside still come in."""
    assert reached(CLIENT, "192.0.2.1", *PUBLISHED) == set(PUBLISHED)
    _, rules = documented()
    assert len(rules) == 3
    for rule in rules:
        within(HOST, *rule.split())
    assert reached(CLIENT, "192.0.2.1", *PUBLISHED) == {80, 443}
    assert reached(BOX, "192.0.2.2", 7777) == {7777}


def test_own_ports(net: None, tmp_path: Path) -> None:
    """ufw closes what the host itself listens on but SSH, and leaves published ports open, which
    is why the other rules are there; both together leave 22, 80 and 443."""
    if shutil.which("ufw") is None:
        pytest.skip("ufw is not installed")
    ufw, rules = documented()
    assert reached(CLIENT, "192.0.2.1", *OWN, 8080) == {*OWN, 8080}
    own = tmp_path / "ufw"
    shutil.copytree("/etc/ufw", own)
    for command in ufw:
        # OpenSSH's profile comes with that package, and nobody is here to say yes.
        words = command.replace("allow OpenSSH", "allow 22/tcp").replace("enable", "--force enable")
        # The mount ends with its command: the settings of this machine stay what they are.
        within(HOST, "sh", "-c", f"mount --bind {own} /etc/ufw && {words}")
    assert reached(CLIENT, "192.0.2.1", *OWN, *PUBLISHED) == {22, *PUBLISHED}
    for rule in rules:
        within(HOST, *rule.split())
    assert reached(CLIENT, "192.0.2.1", *OWN, *PUBLISHED) == {22, 80, 443}
