"""The mathematics and the vocabulary of order flow: pure, no I/O, no clock, no logging."""
