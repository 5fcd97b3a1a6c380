"""The house's own rules, checked on the tree."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from rooms import ROOMS

from backbone.bus import BUSES
from backbone.store import STORES
from collectors.venues import VENUES
from orderflow.indicators import INDICATORS
from simulator.tapes import FORMATS
from simulator.venues import HOSTS

SOURCES = (*ROOMS, "mcp_client")
MOST_LINES = 400
GENERATED = {"mcp_client/src/wadm_client/types.py"}
SHARED_ROOMS = ("orderflow", "processor")
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|NotImplemented" + r"Error)\b")
MACHINE = re.compile(r"(?<![\w.])/(wo" + r"rk|ro" + r"ot|fa" + r"rm)/")
REGISTRY = re.compile(r"https?://[\w.-]*(py" + r"pi|np" + r"m|deb" + r"ian)[\w.-]*/")


def tracked(root: Path) -> list[Path]:
    """Files of the project, tracked or about to be."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [root / name for name in out.splitlines() if (root / name).is_file()]


def sources(root: Path) -> list[Path]:
    return [path for room in SOURCES for path in sorted((root / room).rglob("*.py"))]


def test_no_god_files(root: Path) -> None:
    """A file that does not fit in the head is split."""
    long = {
        str(path.relative_to(root)): count
        for path in tracked(root)
        if path.suffix == ".py" and (count := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert {name for name in long if not name.startswith("tests/")} <= GENERATED


def test_shared_rooms_know_no_exchange(root: Path) -> None:
    """Mathematics and processor never name a venue."""
    names = re.compile("|".join(VENUES), re.IGNORECASE)
    found = [
        f"{path.relative_to(root)}:{number}"
        for room in SHARED_ROOMS
        for path in (root / room).rglob("*.py")
        for number, line in enumerate(code_lines(path), 1)
        if names.search(line)
    ]
    assert found == []


def code_lines(path: Path) -> list[str]:
    """Lines with docstrings blanked: prose may give examples."""
    lines = path.read_text().splitlines()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return [line.split("#")[0] for line in lines]


def test_nothing_unfinished(root: Path) -> None:
    """No marks of unfinished work."""
    found = [
        str(path.relative_to(root))
        for path in tracked(root)
        if path.suffix in {".py", ".ts", ".md"} and UNFINISHED.search(path.read_text())
    ]
    assert found == []


def test_no_machine_and_no_registry(root: Path) -> None:
    """Tracked files name no path of a machine and no address of a package index."""
    found = []
    for path in tracked(root):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if MACHINE.search(text) or REGISTRY.search(text):
            found.append(str(path.relative_to(root)))
    assert found == []


def test_registries_are_complete(root: Path) -> None:
    """Every implementation file is registered."""
    assert set(VENUES) == {"binance", "bybit"}
    assert set(BUSES) >= {"memory"}
    assert set(STORES) >= {"memory", "sqlite"}
    assert len(HOSTS) == 3
    files = {p.stem for p in (root / "orderflow/indicators").glob("*.py")} - {"__init__", "card"}
    assert files == set(INDICATORS)
    files = {p.stem for p in (root / "simulator/tapes").glob("*.py")}
    files -= {"__init__", "build", "convert", "synthetic"}
    assert {known.read.__module__.rpartition(".")[2] for known in FORMATS} == files


def test_every_test_says_what_it_shows(root: Path) -> None:
    """A test's docstring states the behaviour."""
    silent = [
        f"{path.relative_to(root)}::{node.name}"
        for path in (root / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []


@pytest.mark.parametrize("name", sorted(INDICATORS))
def test_rule_cards(name: str) -> None:
    """Every indicator says what it means."""
    card = INDICATORS[name]
    assert card.name == name
    texts = (card.formula, card.units, card.ties, card.source, card.summary, card.merging)
    assert min(map(len, (*texts, card.evidence, card.not_evidence))) > 10
    assert card.edges
    assert card.example.numbers
    assert all(one.name and one.default and one.unit and one.meaning for one in card.parameters)
