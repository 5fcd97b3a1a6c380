"""deploy/kubernetes against the schemas of Kubernetes itself, and against this repository."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from backbone.settings import Settings
from wadm.apart import COLLECTOR_PORTS, PROCESSOR_PORT

kubernetes = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is not installed"
)
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
OLDEST, NEWEST = "1.30", "1.37"
ROLES = {"collector-binance", "collector-bybit", "processor", "server"}
PORTS = {
    "collector-binance": COLLECTOR_PORTS["binance"],
    "collector-bybit": COLLECTOR_PORTS["bybit"],
    "processor": PROCESSOR_PORT,
    "server": Settings().port,
}


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(__file__).resolve().parents[2] / "deploy/kubernetes"


@pytest.fixture(scope="module")
def resources(folder: Path) -> list[dict[str, Any]]:
    """Everything that kustomization.yaml names."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in folder.glob("*.yaml")} == {*listed, "kustomization.yaml"}
    return [found for name in listed for found in yaml.safe_load_all((folder / name).read_text())]


def workloads(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    kinds = ("Deployment", "StatefulSet")
    return {r["metadata"]["name"]: r["spec"] for r in resources if r["kind"] in kinds}


def container(spec: dict[str, Any]) -> dict[str, Any]:
    (found,) = spec["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_schemas(resources: list[dict[str, Any]], version: str) -> None:
    """Each resource follows the schema of its kind; an unknown field is an error."""
    for resource in resources:
        kubernetes.validate(resource, version, strict=True)
    broken = {**resources[0], "specs": {}}
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(broken, version, strict=True)


def test_kubernetes_roles(resources: list[dict[str, Any]]) -> None:
    """A workload of several for each role, with a budget of disruptions, in one namespace."""
    found = workloads(resources)
    assert set(found) == ROLES
    assert all(spec["replicas"] >= 2 for spec in found.values())
    budgets = {r["metadata"]["name"] for r in resources if r["kind"] == "PodDisruptionBudget"}
    assert budgets == ROLES
    assert {r["metadata"].get("namespace", "wadm") for r in resources} == {"wadm"}


def test_kubernetes_pods_are_confined(resources: list[dict[str, Any]]) -> None:
    """As in compose: no root, no writable image, no capability, no token, at most 1 GB."""
    for name, spec in workloads(resources).items():
        pod, inner = spec["template"]["spec"], container(spec)
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] == 10001, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert inner["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert inner["resources"]["limits"] == {"memory": "1Gi"}, name
        assert inner["resources"]["requests"], name


def test_kubernetes_probes_and_ports(resources: list[dict[str, Any]]) -> None:
    """/livez and /readyz at the port that the code binds."""
    for name, spec in workloads(resources).items():
        inner = container(spec)
        assert inner["ports"] == [{"name": "http", "containerPort": PORTS[name]}]
        paths = [inner[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
        assert paths == [{"path": f"/{path}", "port": "http"} for path in ("livez", "readyz")]


def test_kubernetes_settings_exist(resources: list[dict[str, Any]]) -> None:
    """Every WADM_ variable is a setting; secrets come as files of the role's own Secret."""
    fields = dataclasses.fields(Settings)
    known = {f"WADM_{field.name.upper()}" for field in fields}
    secret = {f"WADM_{field.name.upper()}" for field in fields if not field.repr}
    (common,) = (r["data"] for r in resources if r["kind"] == "ConfigMap")
    assert all(isinstance(value, str) for value in common.values())
    for name, spec in workloads(resources).items():
        used = {one["name"] for one in container(spec).get("env", [])} | set(common)
        assert used <= known, name
        assert not used & secret, name
        (volume,) = (v["secret"] for v in spec["template"]["spec"]["volumes"] if "secret" in v)
        assert volume["secretName"] == f"wadm-{name}"


def test_kubernetes_is_documented(folder: Path) -> None:
    """docs/operations.md names every Secret with its files, and how NATS and MongoDB get there."""
    page = (folder.parents[1] / "docs/operations.md").read_text()
    assert "kubectl apply -k deploy/kubernetes" in page
    for role in ROLES:
        assert f"wadm-{role}" in page
    for chart in ("nats/nats", "community-operator"):
        assert chart in page
