"""From a History to an Analysis: properties, degradation, validity, score. Pure functions on columns."""
