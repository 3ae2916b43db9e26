"""A system in a namespace of its own on a Kubernetes cluster."""
