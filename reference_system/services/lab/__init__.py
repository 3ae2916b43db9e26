"""Laboratory: see `service`."""
