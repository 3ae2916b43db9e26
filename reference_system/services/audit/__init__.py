"""Audit: see `service`."""
