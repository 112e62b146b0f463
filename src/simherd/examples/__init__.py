"""Models of the example experiments, and the data and pictures that go with them."""
