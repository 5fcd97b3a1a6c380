"""Answers: one set of queries, served over REST and MCP."""
