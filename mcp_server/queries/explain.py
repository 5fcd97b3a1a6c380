"""Rule cards: what a number means, and what it does not mean."""

from __future__ import annotations

from orderflow.indicators import CARDS, find_card
from orderflow.level_reports import CardReport, ExplainReport, ParameterCard


async def explain(name: str | None) -> ExplainReport:
    """The card of one name, or the names by family; ValidationError lists what is known."""
    if name is None:
        families: dict[str, list[str]] = {}
        for card in CARDS:
            families.setdefault(card.family, []).append(card.name)
        return ExplainReport(name=None, card=None, known=families)
    card = find_card(name)
    fields = {
        key: getattr(card, key)
        for key in CardReport.model_fields
        if key not in {"parameters", "edges"}
    }
    parameters = [
        ParameterCard(name=p.name, default=p.default, unit=p.unit, meaning=p.meaning)
        for p in card.parameters
    ]
    report = CardReport(**fields, parameters=parameters, edges=list(card.edges))
    return ExplainReport(name=card.name, card=report, known={})
