"""Analytics: see `service`."""
