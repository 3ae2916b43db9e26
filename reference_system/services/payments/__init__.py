"""Payments: see `service`."""
