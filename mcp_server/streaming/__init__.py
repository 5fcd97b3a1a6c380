"""The event stream: one protocol for server-sent events and WebSocket."""
