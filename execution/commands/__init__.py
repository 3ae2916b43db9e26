"""One file a command: its options, what it does, what it says, its exit code.

What a command needs is imported when it runs: `--help` and mistakes on the command line need none of it.
"""
