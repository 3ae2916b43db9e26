"""Many runs: suites, comparisons, gates, trends."""
