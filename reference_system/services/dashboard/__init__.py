"""Dashboard: see `service`."""
