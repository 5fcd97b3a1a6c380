"""A loopback Binance and Bybit: their WebSocket and REST protocols, played from a tape."""
