"""Billing: see `service`."""
