"""The documentation keeps up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orderflow.detectors import RULES
from orderflow.detectors.rule import Rule
from orderflow.errors import ConfigError
from orderflow.indicators import INDICATORS
from orderflow.timeframe import PERIODS, TIMEFRAMES
from wadm.indicators_page import page_with_cards
from wadm.settings_page import settings_table

LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


def page(root: Path, name: str) -> str:
    return (root / "docs" / name).read_text()


@pytest.mark.parametrize("row", settings_table(), ids=lambda row: str(row["variable"]))
def test_every_setting_is_documented(root: Path, row: dict[str, str]) -> None:
    """docs/operations.md names every variable with its help text."""
    assert f"| `{row['variable']}` |" in page(root, "operations.md")
    assert row["help"] in page(root, "operations.md")


@pytest.mark.parametrize("name", sorted(INDICATORS))
def test_every_indicator_has_its_heading(root: Path, name: str) -> None:
    """docs/indicators.md has a heading per registered indicator."""
    assert f"\n## {name}\n" in page(root, "indicators.md")


def test_indicator_sections_are_the_cards(root: Path) -> None:
    """The sections of docs/indicators.md equal the rule cards of the code (write: make docs)."""
    text = page(root, "indicators.md")
    assert page_with_cards(text) == text
    with pytest.raises(ConfigError):
        page_with_cards("no marks")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_every_kind_of_event_is_documented(root: Path, rule: Rule) -> None:
    """docs/api.md has a line per kind of event, with its own words."""
    line = f"| `{rule.kind}` | {', '.join(rule.timeframes)} | {rule.meaning} |"
    assert line in page(root, "api.md")


def test_links_resolve(root: Path) -> None:
    """Links between pages lead somewhere."""
    pages = [root / "README.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]
    broken = [
        f"{path.name}: {target}"
        for path in pages
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_readme_shows_the_two_commands(root: Path) -> None:
    """README shows both commands and every timeframe and period."""
    text = (root / "README.md").read_text()
    assert "make run" in text
    assert "make test" in text
    for name in (*TIMEFRAMES, *PERIODS):
        assert f"`{name}`" in text
