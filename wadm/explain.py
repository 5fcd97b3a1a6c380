"""`wadm explain`: rule cards for people and for machines."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from orderflow.errors import ConfigError
from orderflow.indicators import CARDS, INDICATORS
from orderflow.indicators.card import RuleCard


def card_of(name: str) -> RuleCard:
    """The card of an indicator, case and dashes ignored; ConfigError lists the known names."""
    found = INDICATORS.get(name.strip().lower().replace("-", "_"))
    if found is None:
        raise ConfigError(f"no such indicator; known: {', '.join(INDICATORS)}")
    return found


def plain_card(card: RuleCard) -> dict[str, Any]:
    """A card as plain values, with its `algo`."""
    values: dict[str, Any] = msgspec.to_builtins(card)
    return {"algo": card.algo, **values}


def list_table() -> Table:
    """Every indicator with its summary."""
    table = Table("name", "family", "what it is")
    for card in CARDS:
        table.add_row(card.name, card.family, card.summary)
    return table


def card_page(card: RuleCard) -> Group:
    """One card as a page of text."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for label, text in (
        ("formula", card.formula),
        ("units", card.units),
        ("ties", card.ties),
        ("edge cases", "\n".join(card.edges)),
        ("merging", card.merging),
        ("evidence of", card.evidence),
        ("not evidence of", card.not_evidence),
        ("source", card.source),
        ("example", card.example.setting),
    ):
        table.add_row(Text(label, style="bold"), Text(text))
    for name, value in card.example.numbers:
        table.add_row("", Text(f"{name} = {value}"))
    parts: list[Text | Table] = [Text(card.algo, style="bold"), Text(card.summary), table]
    if card.parameters:
        choices = Table("parameter", "default", "unit", "meaning")
        for one in card.parameters:
            choices.add_row(one.name, one.default, one.unit, one.meaning)
        parts.append(choices)
    return Group(*parts)
