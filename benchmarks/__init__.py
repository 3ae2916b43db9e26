"""Speeds of the hot paths, measured on the machine at hand and printed with its facts."""
