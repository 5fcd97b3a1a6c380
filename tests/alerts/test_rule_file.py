"""The file of rules: everything in it is checked, and an error says where and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alert_support import book_from

from alerts.credential import options_of
from alerts.fieldpath import parse_path, value_at
from alerts.rule import Kind
from alerts.ruletext import RuleText
from alerts.targets import TARGETS
from orderflow.errors import ConfigError

TARGET = '[targets.desk]\nkind = "webhook"\nurl = "https://x.example/h"\nsecret_env = "S"\n'
RULE = '[rules.a]\nsymbols = ["BTCUSDT"]\ntargets = ["desk"]\n'
SHORT = 'field = "delta"\nabove = 1\n'


def test_a_whole_file() -> None:
    """Numbers stay exact; defaults are those of the documentation."""
    text = (
        TARGET
        + RULE
        + 'field = "delta"\nabove = 0.1\nparameters = { period = "1m" }\nfor_s = 5\n'
        + '[rules.b]\nsymbols = ["BTCUSDT"]\ntargets = ["desk"]\nevents = ["sweep"]\nside = "buy"\n'
        + "[[silences]]\nrule = 'a'\nuntil = 2030-01-01T00:00:00Z\n"
    )
    book = book_from(text)
    first, second = book.rules
    assert (first.condition.kind, first.condition.value) == (Kind.COMPARE, Decimal("0.1"))
    assert (first.for_ms, first.cooldown_ms, first.every_s) == (5_000, 300_000, 15)
    assert (first.answer, first.parameters) == ("order_flow", (("period", "1m"),))
    assert (second.answer, second.condition.side, second.cooldown_ms) == ("events", "buy", 0)
    until = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1_000)
    assert [(s.rule, s.symbol, s.until_ms) for s in book.silences] == [("a", "", until)]
    assert first.line == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = y\n", "no TOML: Invalid value (at line 1"),
        ("[rule.a]\n", "unknown table 'rule'; allowed: rules, targets, silences"),
        (TARGET, "1 to 500 rules"),
        (TARGET + RULE + 'field = "delta"\nabvoe = 1\n', "line 5, rule a: Object contains unknown"),
        (TARGET + RULE + 'field = "delta"\nabove = "much"\n', "line 5, rule a: "),
        (TARGET + RULE + 'field = "delta"\nabove = nan\n', "above must be a finite number"),
        (TARGET + RULE + 'field = "delta"\nabove = 1\nbelow = 2\n', "exactly one condition"),
        (TARGET + RULE + "above = 1\n", "field is missing"),
        (TARGET + RULE + 'field = "a b"\nabove = 1\n', "is no path"),
        (TARGET + RULE + 'stale = true\nfield = "x"\n', "go with a comparison"),
        (TARGET + RULE + 'events = ["crash"]\n', "'crash' is no event; events must name some of"),
        (TARGET + RULE + 'worse_than = "bad"\n', "worse_than must be one of: verified"),
        (TARGET + RULE + SHORT + "for_s = -1\n", "for_s must be 0 to"),
        (TARGET + RULE + SHORT + 'answer = "prices"\n', "answer must be one of: order_flow"),
        (TARGET + RULE + SHORT + "parameters = { when = 1 }\n", "'when' is no parameter"),
        (TARGET + RULE + SHORT + 'parameters = { period = "../x" }\n', "signs that no parameter"),
        (TARGET + RULE + SHORT + 'answer = "levels"\nonly = "final"\n', "only = .. needs answer"),
        (TARGET + RULE + SHORT + 'answer = "indicator"\n', "needs parameters = { name"),
        (TARGET + RULE + SHORT + 'note = "a\\nb"\n', "one line of at most 300"),
        (TARGET + RULE.replace("BTCUSDT", "B T") + SHORT, "symbols must be a list"),
        (TARGET + RULE.replace('"desk"', '"dusk"') + SHORT, "line 5, rule a: there is no target"),
        (TARGET + RULE.replace("[rules.a]", "[rules.A]") + SHORT, "lower-case letters"),
        (TARGET.replace("webhook", "pigeon") + RULE + SHORT, "line 1, target desk: kind must be"),
        (TARGET.replace("secret_env", "secret") + RULE + SHORT, "secret_env or secret_file"),
        (TARGET.replace('"S"', '"WADM_S"') + RULE + SHORT, "not WADM_.."),
        (TARGET.replace('secret_env = "S"\n', "") + RULE + SHORT, "secret is missing"),
        (TARGET + RULE + SHORT + "[[silences]]\nrule = 'z'\nuntil = 2030-01-01\n", "no rule 'z'"),
        (TARGET + RULE + SHORT + "[[silences]]\nuntil = 'soon'\n", "until must look like"),
    ],
)
def test_errors_say_where_and_what_to_do(text: str, message: str) -> None:
    """Every mistake is refused with its line or rule and the allowed values."""
    with pytest.raises(ConfigError) as refused:
        book_from(text)
    assert message in str(refused.value)


def test_secrets_come_from_outside(tmp_path: Path) -> None:
    """From the environment or a file beside the rules; an error names neither value nor folder."""
    (tmp_path / "key").write_text("hidden\n")
    text = TARGET.replace('secret_env = "S"', 'secret_file = "key"') + RULE + SHORT
    (target,) = book_from(text).targets
    assert options_of(target, {}, tmp_path)["secret"] == "hidden"
    with pytest.raises(ConfigError, match="can't be read: key"):
        options_of(target, {}, tmp_path / "elsewhere")
    (target,) = book_from(TARGET + RULE + SHORT).targets
    assert options_of(target, {"S": "x"}, tmp_path)["secret"] == "x"
    with pytest.raises(ConfigError, match="the environment has no S"):
        options_of(target, {}, tmp_path)


def test_paths_of_fields() -> None:
    """Names, places from both ends, and the item of a list that has a value."""
    answer = {
        "delta": "1.50",
        "stale": False,
        "bars": [{"close": 1}, {"close": Decimal("2.5")}],
        "levels": [{"name": "poc", "price": 7}],
        "context": {"15m": {"p": "90"}},
    }

    def at(path: str) -> object:
        return value_at(answer, parse_path(path))

    assert (at("delta"), at("stale")) == (Decimal("1.50"), False)
    assert (at("bars.-1.close"), at("bars.0.close")) == (Decimal("2.5"), Decimal(1))
    assert (at("levels[name=poc].price"), at("context.15m.p")) == (Decimal(7), Decimal(90))
    assert [at(path) for path in ("nothing", "bars.9.close", "bars", "levels[name=x].price")] == [
        None
    ] * 4
    for wrong in ("", "a..b", "a.", "A", "a[b", "a b", "x" * 201):
        with pytest.raises(ConfigError, match="is no path"):
            parse_path(wrong)


def test_the_example_of_the_guide(root: Path) -> None:
    """The file in docs/operations.md is a good one, and every key of a rule is described there."""
    text = (root / "docs/operations.md").read_text()
    section = text.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    book = book_from(section.partition("```toml\n")[2].partition("```")[0])
    assert [rule.name for rule in book.rules] == ["big-delta", "odd-minute", "sweeps", "late"]
    told = {field for field in RuleText.__struct_fields__ if f"`{field}" not in section}
    assert told == set()
    for name, kind in TARGETS.items():
        words = (name, *kind.takes.options, *kind.takes.secrets)
        assert [word for word in words if f"`{word}`" not in section] == []
