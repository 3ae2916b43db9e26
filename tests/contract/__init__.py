"""What every runtime promises, run on each of them."""
