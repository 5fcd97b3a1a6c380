"""Alerts: rules over served answers, and the targets that are told. Decisions are pure."""
