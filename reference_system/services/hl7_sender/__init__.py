"""HL7 sender: see `service`."""
