"""The release gate: whether a candidate is as resilient as a baseline, decided on paired runs."""
