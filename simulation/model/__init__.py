"""A simulated system: the nodes of one plan, its bus, its users and the controls that faults act on."""
