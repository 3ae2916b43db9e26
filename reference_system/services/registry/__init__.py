"""Registry: see `service`."""
