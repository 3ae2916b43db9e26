"""From a History to an Analysis: checkers, degradation, validity, score. Pure functions on columns."""
