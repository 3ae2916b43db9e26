"""One folder per service; each is its own process, database and role."""
