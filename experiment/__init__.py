"""The vocabulary of an experiment: pure values and the ports that runtimes implement."""
