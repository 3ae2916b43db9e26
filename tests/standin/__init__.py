"""A tiny system for tests of the runtimes: `front` calls `back`, both in the standard library alone."""
