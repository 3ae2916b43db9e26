"""Finished runs for readers."""
