"""The command `wadm`: composes the services in one process."""
