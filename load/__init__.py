"""Load: what users do, when, and what they saw. Open loop, played by Locust in a process of its own."""
