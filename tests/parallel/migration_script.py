"""What a user of sciris writes. As a program: what it gives with the library that is named as argument."""

from __future__ import annotations

import functools
import importlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings

import numpy as np

sc = importlib.import_module(sys.argv[1])


class Walk:
    def __init__(self, seed, steps=10):
        self.seed = seed
        self.steps = steps
        self.end = None

    def run(self):
        np.random.seed(self.seed)
        self.end = float(np.random.normal(size=self.steps).sum())
        return self

    def scaled(self, factor):
        return factor * self.seed


def product(x, y):
    return x * y


def draw():
    return np.random.random()


def fragile(x):
    if x == 2:
        raise ValueError(f"no {x}")
    return x


@functools.cache
def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


def figure(number, folder):
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots()
    axes.plot([0, number])
    path = os.path.join(folder, f"{number}.png")
    fig.savefig(path)
    plt.close(fig)
    return os.path.basename(path)


def remember(x, globaldict):
    globaldict[x] = x**2
    return x


def delayed_map(task, arguments):
    import dask

    return list(dask.compute(*[dask.delayed(task)(one) for one in arguments]))


def three_ways():
    return [
        sc.parallelize(product, iterarg=[(1, 2), (2, 3)], ncpus=2),
        sc.parallelize(product, iterkwargs={"x": [1, 2], "y": [2, 3]}, ncpus=2),
        sc.parallelize(product, iterkwargs=[{"x": 1, "y": 2}, {"x": 2, "y": 3}], ncpus=2),
        sc.parallelize(product, [1, 2], y=10),
        sc.parallelize(product, [1, 2], args=(10,)),
    ]


def random_numbers():
    np.random.seed(1)
    first = sc.parallelize(draw, 6, ncpus=2)
    np.random.seed(1)
    return len(set(first)), sc.parallelize(draw, 6, ncpus=3) == first


def simulations():
    walks = sc.parallelize(Walk.run, [Walk(seed) for seed in range(3)], ncpus=2)
    serial = sc.parallelize(lambda seed: Walk(seed).run(), range(3), serial=True)
    return [walk.end for walk in walks], [walk.end for walk in serial], [walk.steps for walk in walks]


def shared_keyword_named_seed():
    return sc.parallelize(lambda x, seed=0: x + seed, [1, 2], seed=5, ncpus=2)


def methods_and_closures():
    offset = 3
    return [
        sc.parallelize(Walk(5).scaled, [1, 2], ncpus=2),
        sc.parallelize(lambda x: x + offset, [1, 2], ncpus=2),
        sc.parallelize(fibonacci, [40, 50], ncpus=2),
    ]


def load():
    return sc.parallelize(product, [1, 2], kwargs={"y": 2}, maxcpu=1.0, maxmem=1.0, interval=0.01)


def failures():
    run = sc.Parallel(fragile, range(4), die=False, ncpus=2)
    run.run()
    errors = [None if error is None else str(error) for error in run.exceptions]
    return [str(result) for result in run.results], run.success, errors


def in_steps():
    run = sc.Parallel(time.sleep, [0.1, 0.1], parallelizer="multiprocess-async", ncpus=2)
    found = [run.status]
    run.run_async()
    found.append(run.status)
    run.monitor()
    run.finalize()
    return [*found, run.status, run.ready, run.results, len(run.times.jobs), run.njobs, run.ncpus]


def callbacks():
    seen = []
    results = sc.parallelize(abs, [-1, -2], callback=lambda data: seen.append(data["index"]), serial=True)
    return seen, results


def shared_dictionary():
    run = sc.Parallel(remember, range(3), globaldict={}, ncpus=2)
    run.run()
    return sorted(dict(run.globaldict).items())


def maps_of_the_user():
    arguments = {"iterkwargs": {"x": [1, 2], "y": [3, 4]}}
    with multiprocessing.Pool(1) as pool:
        return [
            sc.parallelize(product, parallelizer=pool.map, **arguments),
            sc.parallelize(product, parallelizer=delayed_map, **arguments),
            sc.parallelize(product, parallelizer=map, **arguments),
        ]


def figures():
    with tempfile.TemporaryDirectory() as folder:
        return sc.parallelize(figure, [1, 2], folder=folder, ncpus=2), sorted(os.listdir(folder))


def progress():
    return sc.parallelize(abs, [-1, -2], progress=True, ncpus=2)


PARTS = (
    *(
        three_ways,
        random_numbers,
        simulations,
        shared_keyword_named_seed,
        methods_and_closures,
        load,
        failures,
    ),
    *(in_steps, callbacks, shared_dictionary, maps_of_the_user, figures, progress),
)

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = {part.__name__: part() for part in PARTS}
    with open(sys.argv[2], "w") as file:
        json.dump(found, file)
