"""Speeds of the hot paths, measured on the machine at hand and printed with its facts."""

import experiment  # noqa: F401 - first, as in harness.py: it says how the column engine keeps memory
