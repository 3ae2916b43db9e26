"""The system in containers: images, networks, containers and what can be done to them."""
