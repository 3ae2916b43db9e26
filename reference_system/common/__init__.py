"""What the services share: one module per resilience pattern, and the scaffold around them."""
