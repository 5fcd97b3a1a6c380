"""TradeBatches to bars, exactly once."""
