"""The SIR model of an epidemic against a real outbreak.

Influenza in an English boarding school of 763 boys in January 1978; the counts are the boys confined to
bed on each of 14 days [1]_. The model is Kermack and McKendrick's [2]_: susceptible, infected and
recovered boys, mixing freely, advanced with the classical fourth-order Runge-Kutta method.

The processes take numbers and arrays alike: with ``vectorize=True`` thousands of epidemics advance at once.

References
----------
.. [1] "Influenza in a boarding school", British Medical Journal, 4 March 1978, p. 587.
.. [2] W. O. Kermack and A. G. McKendrick, "A contribution to the mathematical theory of epidemics",
   Proceedings of the Royal Society A 115, 1927, doi:10.1098/rspa.1927.0118.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import simherd as sh

__all__ = ["OBSERVED_IN_BED", "Epidemic", "Fit", "model", "simulate_infected"]

OBSERVED_IN_BED: NDArray[np.float64] = np.array([3.0, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4])
BOYS = 763.0
SUBSTEPS = 4


def _rates(susceptible: float, infected: float, beta: float, gamma: float) -> tuple[float, float]:
    """Return the change per day of susceptible and infected boys."""
    infections = beta * susceptible * infected / BOYS
    return -infections, infections - gamma * infected


def advance(
    susceptible: float, infected: float, beta: float, gamma: float, days: float
) -> tuple[float, float]:
    """Return susceptible and infected boys after one Runge-Kutta step of a number of days."""
    s, i, half = susceptible, infected, days / 2
    ds1, di1 = _rates(s, i, beta, gamma)
    ds2, di2 = _rates(s + half * ds1, i + half * di1, beta, gamma)
    ds3, di3 = _rates(s + half * ds2, i + half * di2, beta, gamma)
    ds4, di4 = _rates(s + days * ds3, i + days * di3, beta, gamma)
    weight = days / 6
    return s + weight * (ds1 + 2 * (ds2 + ds3) + ds4), i + weight * (di1 + 2 * (di2 + di3) + di4)


def simulate_infected(
    beta: float, gamma: float, days: int = len(OBSERVED_IN_BED), substeps: int = SUBSTEPS
) -> NDArray[np.float64]:
    """Return the infected boys on each day.

    Parameters
    ----------
    beta : float
        Transmission rate, per day.
    gamma : float
        Recovery rate, per day.
    days : int, optional
        Number of days, the first one included.
    substeps : int, optional
        Runge-Kutta steps per day.

    Returns
    -------
    ndarray, shape (days,)
        From 3 infected and 760 susceptible boys on day 0.
    """
    susceptible, infected = BOYS - OBSERVED_IN_BED[0], OBSERVED_IN_BED[0]
    curve = [infected]
    for _ in range(days - 1):
        for _ in range(substeps):
            susceptible, infected = advance(susceptible, infected, beta, gamma, 1 / substeps)
        curve.append(infected)
    return np.array(curve)


@sh.process
class Epidemic:
    """Susceptible and infected boys, day by day."""

    transmission_rate: float = sh.variable(
        default=1.7, description="infections per infected boy while all others are susceptible",
        attrs={"units": "day-1"},
    )  # fmt: skip
    recovery_rate: float = sh.variable(
        default=0.45, description="share of infected boys that leave bed", attrs={"units": "day-1"}
    )
    first_infected: float = sh.variable(
        default=3.0, description="infected boys on day 0", attrs={"units": "1"}, static=True
    )
    susceptible: float = sh.variable(
        intent="out", description="boys that can be infected", attrs={"units": "1"}
    )
    infected: float = sh.variable(intent="out", description="boys in bed", attrs={"units": "1"})

    def initialize(self) -> None:
        """Put the first boys to bed."""
        self.infected = self.first_infected
        self.susceptible = BOYS - self.first_infected

    @sh.runtime(args="step_delta")
    def finalize_step(self, days: float) -> None:
        """Advance by a step of the clock, in days."""
        susceptible, infected = self.susceptible, self.infected
        for _ in range(SUBSTEPS):
            susceptible, infected = advance(
                susceptible, infected, self.transmission_rate, self.recovery_rate, days / SUBSTEPS
            )
        self.susceptible, self.infected = susceptible, infected


@sh.process
class Fit:
    """How far the infected boys are from those counted."""

    observed: NDArray[np.float64] = sh.variable(
        dims="count", default=OBSERVED_IN_BED, description="boys in bed, counted day by day",
        attrs={"units": "1"}, static=True,
    )  # fmt: skip
    infected: float = sh.foreign(Epidemic, "infected")
    misfit: float = sh.variable(
        intent="out",
        description="root mean square difference to the counts, from day 0 to today",
        attrs={"units": "1"},
    )

    def initialize(self) -> None:
        """Compare day 0."""
        counts = self.observed.T
        self._counts = counts.tolist() if counts.ndim == 1 else counts
        self._squares = 0.0
        self._compare(0)

    @sh.runtime(args="step")
    def finalize_step(self, step: int) -> None:
        """Compare the day that the epidemic has just reached."""
        self._compare(step + 1)

    def _compare(self, day: int) -> None:
        self._squares += (self.infected - self._counts[day]) ** 2
        self.misfit = (self._squares / (day + 1)) ** 0.5


model = sh.Model({"epidemic": Epidemic, "fit": Fit})
