"""`wadm explain`: rule cards for people and for machines."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from orderflow.errors import ConfigError, ValidationError
from orderflow.indicators import CARDS, find_card
from orderflow.indicators.card import RuleCard


def card_of(name: str) -> RuleCard:
    """The card of an indicator; ConfigError lists the known names."""
    try:
        return find_card(name)
    except ValidationError as error:
        raise ConfigError(str(error)) from None


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
