"""The reference system as local processes."""
