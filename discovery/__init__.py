"""What of somebody else's system can be seen before anything is started: services, ports and links."""
