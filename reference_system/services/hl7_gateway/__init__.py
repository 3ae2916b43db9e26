"""HL7 gateway: see `service`."""
