"""Prescriptions: see `service`."""
