"""Resilience patterns, one module each; every one can be switched off by the design."""
