"""Where a plan runs on real processes: starting and stopping the system, its links, its controls and
readings."""
