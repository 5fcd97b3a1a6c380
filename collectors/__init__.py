"""Exchange frames to TradeBatches."""
