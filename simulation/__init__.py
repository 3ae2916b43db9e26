"""The SimPy twin: the same plan in virtual time, giving the same history."""
