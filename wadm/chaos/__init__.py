"""Proofs by fault: whole systems in virtual time from one seed, and processes killed for real."""
