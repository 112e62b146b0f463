"""A first model: a population that grows towards what its land can feed.

Look at it with:  simherd info model.py:model
"""

import simherd as sh


@sh.process
class Land:
    """How many animals the land can feed."""

    capacity = sh.variable(default=1000.0, description="animals that can live here", attrs={"units": "1"})


@sh.process
class Population:
    """Logistic growth."""

    initial = sh.variable(default=10.0, description="animals at the start", attrs={"units": "1"})
    growth_rate = sh.variable(default=0.5, description="growth of a small population", attrs={"units": "year-1"})
    capacity = sh.foreign(Land, "capacity")  # read from the process Land
    size = sh.variable(intent="out", description="animals", attrs={"units": "1"})

    def initialize(self):
        self.size = self.initial

    @sh.runtime(args="step_delta")
    def run_step(self, years):
        self._growth = self.growth_rate * self.size * (1 - self.size / self.capacity) * years

    def finalize_step(self):
        self.size += self._growth


model = sh.Model({"land": Land, "population": Population})
