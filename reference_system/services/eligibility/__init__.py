"""Eligibility: see `service`."""
