"""Router: see `service`."""
