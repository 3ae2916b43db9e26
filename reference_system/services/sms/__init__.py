"""Sms: see `service`."""
