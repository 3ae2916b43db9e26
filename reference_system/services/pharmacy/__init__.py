"""Pharmacy: see `service`."""
