"""Notify: see `service`."""
