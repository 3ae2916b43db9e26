"""The services of a web shop."""
