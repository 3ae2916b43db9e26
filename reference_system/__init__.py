"""The reference healthcare system: services to break, reached over the network only."""
