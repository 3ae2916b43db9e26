"""Designs side by side over the same scenarios and seeds: which is more resilient, and at what cost."""
