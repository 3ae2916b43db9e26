"""Every link runs through Toxiproxy: driving its servers, controls of links, probes that measure them."""
