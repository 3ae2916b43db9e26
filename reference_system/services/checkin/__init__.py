"""Check-in: see `service`."""
