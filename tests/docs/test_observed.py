"""What is observed has one table each: metrics, log events, alerts. Docs and deployment follow."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rooms import ROOMS
from ruamel import yaml

from backbone.log_events import LOG_EVENTS
from backbone.measures import LABELS, MEASURES, Kind

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
FOREIGN = {"up"}
"""What Prometheus itself says of a target."""
ITS_OWN = {"job", "instance", "le"}
SECRET = re.compile(r"key$|secret|token|password|uri|credential", re.IGNORECASE)


def page(root: Path) -> str:
    return (root / "docs/operations.md").read_text()


def rules(root: Path) -> list[dict[str, Any]]:
    text = (root / "deploy/prometheus/alerts.yml").read_text()
    found: list[dict[str, Any]] = yaml.YAML(typ="safe").load(text)["groups"][0]["rules"]
    return found


def expressions(root: Path) -> Iterator[str]:
    """Of the alert rules and of every panel."""
    for rule in rules(root):
        yield rule["expr"]
    board = json.loads((root / "deploy/grafana/dashboards/wadm.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def logged(root: Path) -> Iterator[tuple[str, str, ast.Call]]:
    """(place, event, call) of every line of the source that logs; no event where it is not
    written out."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                owner = node.func.value
                if not (isinstance(owner, ast.Name) and owner.id == "log"):
                    continue
                place = f"{path.relative_to(root)}:{node.lineno}"
                said = node.args[1:] if node.func.attr == "log" else node.args
                if node.func.attr in LEVELS | {"log"}:
                    for event in _texts(said[0]):
                        yield place, event, node


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return [""]


def test_every_log_event_is_declared(root: Path) -> None:
    """What the source logs stands in the one table under a name that is written out, and nothing
    stands there that is not logged; circumstances are fields with harmless names."""
    lines = list(logged(root))
    assert [place for place, event, _ in lines if event not in LOG_EVENTS] == []
    assert set(LOG_EVENTS) - {event for _, event, _ in lines} == set()
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in LOG_EVENTS)
    fields = {(place, word.arg) for place, _, call in lines for word in call.keywords}
    assert [found for found in fields if SECRET.search(found[1] or "")] == []


def test_every_log_event_is_documented(root: Path) -> None:
    """docs/operations.md lists exactly the declared events with their meaning."""
    section = page(root).partition("\n## Logs\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", section, re.MULTILINE))
    assert rows == LOG_EVENTS


def test_every_metric_is_documented(root: Path) -> None:
    """docs/operations.md lists exactly the declared metrics: kind, labels, meaning."""
    section = page(root).partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [
        (name, one.kind, ", ".join(f"`{label}`" for label in one.labels), one.meaning)
        for name, one in MEASURES.items()
    ]
    assert {label for one in MEASURES.values() for label in one.labels} == set(LABELS)


def test_alerts_and_panels_ask_for_metrics_that_exist(root: Path) -> None:
    """Every name in the alert rules and in Grafana's dashboard is one that /metrics has, with
    labels it has; together they use every metric; the source is compose's Prometheus."""
    known = {n + suffix: n for n, one in MEASURES.items() for suffix in SUFFIXES[one.kind]}
    used: set[str] = set()
    for text in expressions(root):
        plain = re.sub(r'"[^"]*"', '""', text)
        names = set(re.findall(r"\b(?:wadm|ingestion)_\w+|\bup\b", plain))
        assert names - FOREIGN <= set(known), text
        assert names, text
        used |= {known[name] for name in names - FOREIGN}
        labels = {label for name in names - FOREIGN for label in MEASURES[known[name]].labels}
        asked = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", plain))
        for listed in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", plain):
            asked |= {label.strip() for label in listed.split(",")}
        assert asked <= labels | ITS_OWN, text
    rare = {"wadm_processor_trades_received", "wadm_processor_trades_duplicate"}
    rare |= {"wadm_processor_gaps_filled", "wadm_processor_trades_held", "ingestion_errors"}
    rare |= {"ingestion_candles_processed", "wadm_collector_frames", "wadm_collector_trades"}
    assert set(MEASURES) - used <= rare
    source = (root / "deploy/grafana/datasources/prometheus.yml").read_text()
    assert "http://prometheus:9090" in source
    assert "prometheus/alerts.yml" in (root / "deploy/prometheus.yml").read_text()


def test_every_alert_is_explained(root: Path) -> None:
    """docs/operations.md says what each alert means, in its own words, and what to do."""
    section = page(root).partition("\n## Alerts of Prometheus\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.{20,}) \|$", section, re.MULTILINE)
    assert [(name, means) for name, means, _ in rows] == [
        (rule["alert"], rule["annotations"]["summary"]) for rule in rules(root)
    ]


@pytest.mark.parametrize("quiet", [False, True])
def test_every_alert_is_tried(root: Path, *, quiet: bool) -> None:
    """Beside the rules stands for each when it fires and when it does not (`make test` runs them
    with promtool where that is installed)."""
    text = (root / "deploy/prometheus/alerts_test.yml").read_text()
    found = {
        part["alertname"]
        for test in yaml.YAML(typ="safe").load(text)["tests"]
        for part in test["alert_rule_test"]
        if (part["exp_alerts"] == []) == quiet
    }
    assert found == {rule["alert"] for rule in rules(root)}
