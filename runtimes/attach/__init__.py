"""A system that runs already: found, wired, disturbed, left as it was. Nothing of it is started or ended."""
