"""Payer: see `service`."""
