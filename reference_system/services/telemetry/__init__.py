"""Telemetry: the collector that services tell of their spans."""
