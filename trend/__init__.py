"""Stored results of suites over runs and commits, and where their level changed."""
