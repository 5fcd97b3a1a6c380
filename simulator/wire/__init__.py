"""HTTP and WebSocket on one listener."""
