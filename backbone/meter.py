"""Meter: what one process counts, by the declared metrics and within the bounds of their labels.

Whatever counts holds a meter; what is only looked at when somebody scrapes is given to `watch`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from backbone.measures import BUCKETS_S, LABELS, MEASURES, OTHER, Bound, Measure

Values = tuple[str, ...]
Figures = Mapping[Values, float]
Read = Callable[[], Figures | float]


class Meter:
    """Counts since the start of a process."""

    def __init__(self) -> None:
        self._folds: dict[str, Fold] = {}
        self._counts: dict[str, dict[Values, float]] = {}
        self._histograms: dict[str, dict[Values, _Histogram]] = {}
        self._reads: dict[str, Read] = {}

    def add(self, name: str, *values: str, amount: float = 1) -> None:
        """A declared counter grows; KeyError for one that nobody declared."""
        found = self._counts.get(name)
        if found is None:
            found = self._counts[name] = self._begun(name, "counter")
        key = values if values in found else self._folds[name](values)
        found[key] = found.get(key, 0) + amount

    def observe(self, name: str, seconds: float, *values: str) -> None:
        """One more duration of a declared histogram."""
        found = self._histograms.get(name)
        if found is None:
            self._begun(name, "histogram")
            found = self._histograms[name] = {}
        key = values if values in found else self._folds[name](values)
        if (histogram := found.get(key)) is None:
            histogram = found[key] = _Histogram()
        histogram.add(seconds)

    def watch(self, name: str, read: Read) -> None:
        """A declared counter or gauge whose figures are read when somebody asks."""
        self._begun(name, MEASURES[name].kind)
        self._reads[name] = read

    def families(self) -> Iterable[Metric]:
        """Everything counted, as Prometheus takes it."""
        for name, read in self._reads.items():
            yield family(name, read())
        for name, counts in self._counts.items():
            yield family(name, counts)
        for name, found in self._histograms.items():
            measure = MEASURES[name]
            made = HistogramMetricFamily(name, measure.meaning, labels=measure.labels)
            for key, histogram in found.items():
                made.add_metric(key, histogram.buckets(), histogram.total_s)
            yield made

    def _begun(self, name: str, kind: str) -> dict[Values, float]:
        """Figures of a metric that has none; one without labels begins at zero."""
        measure = MEASURES[name]
        if measure.kind != kind:
            raise ValueError(f"{name} is a {measure.kind}")
        self._folds[name] = Fold(measure.labels)
        return {} if measure.labels else {(): 0}


class _Histogram:
    """Durations by bucket."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> Sequence[tuple[str, float]]:
        """Counts up to each bound."""
        found: list[tuple[str, float]] = []
        reached = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            reached += count
            found.append((bound, reached))
        return found


def family(name: str, figures: Figures | float) -> Metric:
    """Figures of one declared counter or gauge; those beyond the bounds of a label become one:
    the sum of counters, the worst of gauges."""
    measure = MEASURES[name]
    if not isinstance(figures, Mapping):
        figures = {(): figures}
    fold = Fold(measure.labels)
    within: dict[Values, float] = {}
    for values, figure in figures.items():
        key = fold(values)
        known = within.get(key)
        within[key] = figure if known is None else _joined(measure, known, figure)
    made = _made(name, measure)
    for key, figure in within.items():
        made.add_metric(key, figure)
    return made


class Fold:
    """Gives the values a figure is counted under: `other` for those that are not declared, or that
    come when the label has as many as it may."""

    def __init__(self, labels: Values) -> None:
        self._labels = labels
        self._met: list[set[str]] = [set() for _ in labels]

    def __call__(self, values: Values) -> Values:
        """As many values as labels; ValueError otherwise."""
        by_label = zip(self._labels, values, self._met, strict=True)
        return tuple(
            value if _allowed(LABELS[label], value, met) else OTHER
            for label, value, met in by_label
        )


def _allowed(bound: Bound, value: str, met: set[str]) -> bool:
    if bound.values is not None:
        return value in bound.values
    if value not in met and len(met) >= bound.most:
        return False
    met.add(value)
    return True


def _joined(measure: Measure, one: float, other: float) -> float:
    if measure.kind == "counter":
        return one + other
    return min(one, other) if measure.least else max(one, other)


def _made(name: str, measure: Measure) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
    return kind(name, measure.meaning, labels=measure.labels)
