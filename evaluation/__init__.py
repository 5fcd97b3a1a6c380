"""How well an agent uses the server: questions over a frozen day, a runner, a scripted agent."""
