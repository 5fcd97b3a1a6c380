"""The sections of docs/indicators.md, written from the rule cards.

`python -m wadm.indicators_page docs/indicators.md` rewrites what stands between the two marks; a
test compares the page with the cards.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from orderflow.errors import ConfigError
from orderflow.indicators import CARDS
from orderflow.indicators.card import RuleCard

BEGIN = "<!-- written from the rule cards: make docs -->"
END = "<!-- end of the rule cards -->"
SENTENCE = re.compile(r"(?<=[.]) (?=[A-Z`])")


def sections() -> str:
    """Every card as a section of Markdown, one sentence a line."""
    return "\n".join("\n".join(_section(card)) for card in CARDS)


def page_with_cards(text: str) -> str:
    """`text` with everything between the marks replaced; ConfigError when a mark is missing."""
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ConfigError(f"the page must hold the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{sections()}\n{END}{after}"


def _section(card: RuleCard) -> Iterator[str]:
    yield f"## {card.name}\n"
    yield from SENTENCE.split(card.summary)
    yield f"Version {card.version}, family {card.family}.\n"
    yield _point("Formula", card.formula)
    yield _point("Units", card.units)
    if card.parameters:
        yield "- **Parameters**:"
        for one in card.parameters:
            yield f"  - `{one.name}` = {one.default} ({one.unit}): {one.meaning}."
    yield _point("Ties", card.ties)
    yield "- **Edge cases**:"
    for edge in card.edges:
        yield f"  - {edge}"
    yield _point("Merging", card.merging)
    yield _point("Evidence of", card.evidence)
    yield _point("Not evidence of", card.not_evidence)
    yield _point("Source", card.source)
    yield _point("Example", card.example.setting)
    yield "\n| number | value |\n| --- | --- |"
    for name, value in card.example.numbers:
        yield f"| {name} | {value} |"
    yield ""


def _point(name: str, text: str) -> str:
    return f"- **{name}**: " + "\n  ".join(SENTENCE.split(text))


def main(path: Path) -> None:
    """Rewrite a page in place."""
    path.write_text(page_with_cards(path.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
