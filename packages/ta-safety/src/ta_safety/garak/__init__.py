"""garak, NVIDIA's scanner, in an environment of its own: its dependencies clash with the workspace's."""
