"""Authz: see `service`."""
