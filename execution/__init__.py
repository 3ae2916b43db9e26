"""Puts the parts together: find files, preflight, run live, judge, report."""
