"""What each command takes: options and arguments, nothing else."""
