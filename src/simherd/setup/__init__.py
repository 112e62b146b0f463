"""xarray on the way in: setups, clocks, names, samplers, and the plan made of them."""
