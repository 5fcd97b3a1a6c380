"""The proof that goes with an answer: age, completeness and the share of every stream."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orderflow import grid, reports
from orderflow.completeness import Quality, merge_qualities
from orderflow.fact_reports import ShortQuality
from orderflow.flow import FlowBar
from orderflow.indicators.order_flow import ratio
from orderflow.wanted import Parts, Wanted, iso


def coverage(quality: Quality) -> Decimal:
    """Observed share of the expected time, 0 to 1."""
    found = ratio(quality.covered_ms, quality.expected_ms)
    return Decimal(1) if found is None else grid.plain(found) if found else Decimal(0)


def quality(
    parts: Parts,
    bars: Sequence[FlowBar],
    wanted: Wanted,
    content_hash: str,
    algo: str,
    cadence_ms: int,
) -> reports.Quality:
    """Age, proof and the share of every stream."""
    merged = merge_qualities([part.quality for part in parts])
    now = min(part.now_ms for part in parts)
    closed = parts[0].window.end_ms <= now
    age = max(max(0, part.now_ms - part.watermark_ms) for part in parts)
    age = 0 if wanted.history else age
    next_ms = now - now % cadence_ms + cadence_ms
    sizes = {
        part.instrument.name: bar.volume_lots * bar.lot_size
        for part, bar in zip(parts, bars, strict=True)
    }
    lots = {part.instrument.name: bar.lot_size for part, bar in zip(parts, bars, strict=True)}
    total = sum(sizes.values())
    aligned_closed = wanted.kind == "aligned" and closed
    return reports.Quality(
        final=merged.final and wanted.kind == "aligned",
        revision=merged.revision,
        applied_through=iso(merged.applied_through_ms),
        age_ms=age,
        stale=age > 2 * cadence_ms,
        next_update_at=None if aligned_closed else iso(next_ms),
        next_update_in_ms=None if aligned_closed else next_ms - now,
        source=wanted.source,
        content_hash=content_hash,
        algo=algo,
        completeness=reports.Completeness(
            state=str(merged.state),
            coverage=coverage(merged),
            gaps=[
                reports.GapReport(
                    instrument=part.instrument.name,
                    start=iso(gap.start_ms),
                    end=iso(gap.end_ms),
                    reason=gap.reason,
                    missing=gap.missing,
                )
                for part in parts
                for gap in part.quality.gaps
            ],
            delta_proven=merged.delta_proven,
        ),
        venues={
            part.instrument.name: reports.VenueQuality(
                state=str(part.quality.state),
                share=(sizes[part.instrument.name] / total).quantize(Decimal("0.0001"))
                if total
                else None,
                first_id=part.quality.first_id,
                last_id=part.quality.last_id,
                missing=part.quality.missing,
                missing_volume=part.quality.missing_lots * lots[part.instrument.name],
            )
            for part in parts
        },
    )


def shortened(full: reports.Quality) -> ShortQuality:
    """The same proof in one flat object: what decides whether a number may be used."""
    return ShortQuality(
        state=full.completeness.state,
        coverage=full.completeness.coverage,
        delta_proven=full.completeness.delta_proven,
        final=full.final,
        revision=full.revision,
        age_ms=full.age_ms,
        stale=full.stale,
        next_update_at=full.next_update_at,
        algo=full.algo,
        venues={name: venue.share for name, venue in full.venues.items()},
    )
