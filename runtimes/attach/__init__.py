"""A system that runs already: found, wired, disturbed, left as it was. Only what a fault ended is started."""
