"""What each command does: call, say, exit code."""
