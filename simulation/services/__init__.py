"""What each service of the reference system does, as the twin knows it: one module a service."""
