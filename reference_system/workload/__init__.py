"""What the users of the reference system do, beyond system.yaml: the one part that imports the harness."""
