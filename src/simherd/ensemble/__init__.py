"""Many simulations: cut into blocks, map them, collect outcomes."""
