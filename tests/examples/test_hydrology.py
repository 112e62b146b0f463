"""The numerical methods of the landscape example, without any model around them."""

import numpy as np
import pytest

from simherd.examples.depressions import (
    NEIGHBOURS,
    fill_depressions,
    interior_pits,
    lead_out_of_pits,
)
from simherd.examples.hydrology import (
    accumulate,
    diffuse,
    drainage_network,
    incise,
    steepest_receivers,
)

EPSILON = 1e-3
DX, DY = 30.0, 40.0


def rough_ground(seed, shape=(23, 31)):
    """Whole metres on a gentle slope: full of pits and flats, as a measured map is."""
    slope = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) / 4.0
    return np.round(np.random.default_rng(seed).uniform(0.0, 6.0, shape) + slope)


def rough_ground_without_pits(seed):
    return fill_depressions(rough_ground(seed), EPSILON)


def lowest_neighbours(elevation):
    rows, columns = elevation.shape
    shifted = [
        elevation[1 + row : rows - 1 + row, 1 + column : columns - 1 + column] for row, column in NEIGHBOURS
    ]
    return np.min(shifted, axis=0)


def flooded_from_above(elevation, epsilon):
    """Sink a sheet of water onto the ground until it rests (Planchon and Darboux, 2002)."""
    sheet = np.full(elevation.shape, np.inf)
    edge = np.ones(elevation.shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    sheet[edge] = elevation[edge]
    while True:
        sunk = sheet.copy()
        sunk[1:-1, 1:-1] = np.maximum(elevation[1:-1, 1:-1], lowest_neighbours(sheet) + epsilon)
        if np.array_equal(sunk, sheet):
            return sheet
        sheet = sunk


def receiver_grid(network):
    receiver = np.empty_like(network.order)
    receiver[network.order] = network.order[network.receiver_position]
    return receiver


def drainage_areas_one_by_one(network, amount):
    """Carry the amount of each cell down its whole way to the edge."""
    receiver, total = receiver_grid(network), np.zeros(amount.size)
    for start, value in enumerate(amount.reshape(-1)):
        cell = start
        total[cell] += value
        while receiver[cell] != cell:
            cell = receiver[cell]
            total[cell] += value
    return total.reshape(amount.shape)


SEEDS = pytest.mark.parametrize("seed", range(5))


class TestFlood:
    @SEEDS
    def test_no_interior_pit_is_left(self, seed):
        filled = fill_depressions(rough_ground(seed), EPSILON)

        assert interior_pits(steepest_receivers(filled, DX, DY)).size == 0

    @SEEDS
    def test_raises_as_little_as_possible(self, seed):
        ground = rough_ground(seed)

        filled = fill_depressions(ground, EPSILON)

        assert np.array_equal(filled, flooded_from_above(ground, EPSILON))

    def test_fills_a_bowl_to_its_lowest_rim(self):
        bowl = np.array(
            [
                [9.0, 9.0, 9.0, 9.0],
                [9.0, 2.0, 4.0, 9.0],
                [9.0, 9.0, 9.0, 5.0],
                [9.0, 9.0, 9.0, 9.0],
            ]
        )

        filled = fill_depressions(bowl, 0.25)

        assert filled[1, 2] == 5.25
        assert filled[1, 1] == 5.5
        assert (filled == bowl).sum() == bowl.size - 2

    def test_leaves_ground_that_drains_as_it_is(self):
        ground = rough_ground_without_pits(seed=1)

        assert np.array_equal(fill_depressions(ground, EPSILON), ground)

    def test_takes_whole_metres_and_leaves_its_argument_alone(self):
        ground = rough_ground(seed=2).astype(np.int16)
        kept = ground.copy()

        filled = fill_depressions(ground, EPSILON)

        assert filled.dtype == np.float64
        assert np.array_equal(ground, kept)

    @pytest.mark.parametrize("shape", [(1, 5), (2, 2), (5, 2)])
    def test_a_map_that_is_all_edge_stays_as_it_is(self, shape):
        ground = np.arange(float(np.prod(shape))).reshape(shape)

        assert np.array_equal(fill_depressions(ground), ground)


class TestReceivers:
    @SEEDS
    def test_point_downhill_or_to_the_cell_itself(self, seed):
        ground = rough_ground(seed)

        receiver = steepest_receivers(ground, DX, DY).reshape(-1)

        heights = ground.reshape(-1)
        drains = receiver != np.arange(receiver.size)
        assert np.all(heights[receiver[drains]] < heights[drains])

    def test_choose_the_steepest_descent_not_the_lowest_neighbour(self):
        ground = np.full((3, 3), 9.0)
        ground[1, 1], ground[0, 0], ground[1, 0] = 5.0, 1.0, 1.5

        wide, tall = (steepest_receivers(ground, dx, dy)[1, 1] for dx, dy in ((1, 1), (9, 1)))

        assert wide == 3
        assert tall == 0

    def test_of_the_edge_are_its_own_cells(self):
        receiver = steepest_receivers(rough_ground(seed=0), DX, DY)

        cell = np.arange(receiver.size).reshape(receiver.shape)
        is_own = receiver == cell
        assert is_own[[0, -1]].all()
        assert is_own[:, [0, -1]].all()

    @SEEDS
    def test_lead_every_cell_to_the_edge_once_pits_overflow(self, seed):
        ground = rough_ground(seed)

        receiver = lead_out_of_pits(ground, steepest_receivers(ground, DX, DY))

        assert interior_pits(receiver).size == 0
        end = receiver.reshape(-1)
        for _ in range(end.size):
            end = receiver.reshape(-1)[end]
        assert np.array_equal(receiver.reshape(-1)[end], end)

    @SEEDS
    def test_of_overflowing_pits_cross_the_lowest_pass(self, seed):
        ground = rough_ground(seed)
        receiver = lead_out_of_pits(ground, steepest_receivers(ground, DX, DY)).reshape(-1)
        highest_on_way = ground.reshape(-1).copy()
        end = receiver
        for _ in range(end.size):
            highest_on_way = np.maximum(highest_on_way, ground.reshape(-1)[end])
            end = receiver[end]

        assert np.array_equal(highest_on_way.reshape(ground.shape), flooded_from_above(ground, 0.0))

    def test_turn_round_between_a_pit_and_its_pass_only(self):
        valley = np.full((3, 7), 9.0)
        valley[1] = [9.0, 8.0, 7.0, 4.0, 5.0, 6.0, 1.0]

        receiver = lead_out_of_pits(valley, steepest_receivers(valley, 1.0, 1.0))

        assert (receiver[1] - 7).tolist() == [0, 2, 3, 4, 5, 6, 6]


class TestDrainageNetwork:
    @SEEDS
    def test_lists_each_cell_once_and_after_its_receiver(self, seed):
        network = drainage_network(rough_ground(seed), DX, DY)

        position = np.arange(network.order.size)
        assert np.array_equal(np.sort(network.order), position)
        drains = network.distance > 0.0
        assert np.all(network.receiver_position[drains] < position[drains])

    @SEEDS
    def test_holds_the_receivers_of_a_level_in_the_level_below(self, seed):
        network = drainage_network(rough_ground(seed), DX, DY)

        for level, below in network.levels():
            within = network.receiver_position[level]
            assert below.start <= within.min() <= within.max() < below.stop

    @pytest.mark.parametrize(("row", "column", "way"), [(1, 0, 3.0), (0, 1, 4.0), (2, 2, 5.0), (1, 2, 3.0)])
    def test_measures_the_way_to_the_receiver(self, row, column, way):
        ground = np.full((3, 3), 9.0)
        ground[1, 1], ground[row, column] = 5.0, 1.0

        network = drainage_network(ground, dx=3.0, dy=4.0)

        assert network.gridded(network.distance)[1, 1] == way

    def test_gridded_undoes_ordered(self):
        ground = rough_ground(seed=4)
        network = drainage_network(ground, DX, DY)

        assert np.array_equal(network.gridded(network.ordered(ground)), ground)


class TestAccumulate:
    @SEEDS
    def test_the_edge_holds_the_sum_over_the_map(self, seed):
        network = drainage_network(rough_ground(seed), DX, DY)

        area = accumulate(network, np.ones(network.shape))

        on_edge = network.gridded(network.distance) == 0.0
        assert area[on_edge].sum() == area.size

    @SEEDS
    def test_agrees_with_carrying_each_cell_down_its_way(self, seed):
        network = drainage_network(rough_ground(seed), DX, DY)
        amount = np.random.default_rng(seed).integers(0, 9, network.shape).astype(float)

        assert np.array_equal(accumulate(network, amount), drainage_areas_one_by_one(network, amount))

    def test_of_a_valley_checked_by_hand(self):
        valley = np.full((3, 5), 9.0)
        valley[1] = [1.0, 2.0, 3.0, 4.0, 9.0]

        area = accumulate(drainage_network(valley, 1.0, 1.0), np.ones((3, 5)))

        assert area[1].tolist() == [4.0, 3.0, 2.0, 1.0, 1.0]
        assert np.all(area[[0, 2]] == 1.0)


class TestIncise:
    @SEEDS
    @pytest.mark.parametrize("duration", [1.0, 1e4, 1e12])
    def test_never_raises_and_keeps_cells_above_their_receivers(self, seed, duration):
        ground = rough_ground_without_pits(seed)
        network = drainage_network(ground, DX, DY)

        after = incise(ground, network, np.full(ground.shape, 1e-2), duration)

        assert np.all(after <= ground)
        in_order = network.ordered(after)
        assert np.all(in_order >= in_order[network.receiver_position])

    @SEEDS
    def test_never_raises_where_water_overflows_pits(self, seed):
        ground = rough_ground(seed)
        network = drainage_network(ground, DX, DY)

        after = incise(ground, network, np.full(ground.shape, 1e-2), 1e12)

        assert np.all(after <= ground)

    def test_of_a_valley_checked_by_hand(self):
        valley = np.full((3, 4), 9.0)
        valley[1] = [0.0, 4.0, 8.0, 9.0]
        network = drainage_network(valley, 2.0, 2.0)

        after = incise(valley, network, np.full((3, 4), 1.0), duration=2.0)

        # 4 -> (4 + 0) / 2, and then 8 -> (8 + 2) / 2: the Courant number is 1.
        assert after[1].tolist() == [0.0, 2.0, 5.0, 9.0]

    def test_cuts_through_to_base_level_in_an_endless_step(self):
        ground = rough_ground_without_pits(seed=3)
        network = drainage_network(ground, DX, DY)

        after = incise(ground, network, np.ones(ground.shape), 1e18)

        receiver = receiver_grid(network)
        end = receiver
        for _ in range(end.size):
            end = receiver[end]
        np.testing.assert_allclose(after.reshape(-1), ground.reshape(-1)[end], rtol=1e-9)

    def test_leaves_the_edge_alone(self):
        ground = rough_ground_without_pits(seed=2)
        network = drainage_network(ground, DX, DY)

        eroded = ground - incise(ground, network, np.ones(ground.shape), 1e3)

        assert not eroded[[0, -1]].any()
        assert not eroded[:, [0, -1]].any()

    def test_takes_a_pit_as_base_level_and_cuts_its_pass(self):
        valley = np.full((3, 7), 9.0)
        valley[1] = [9.0, 8.0, 7.0, 4.0, 5.0, 6.0, 1.0]
        network = drainage_network(valley, 1.0, 1.0)

        after = incise(valley, network, np.ones((3, 7)), duration=1.0)

        # Only the pass (6) drains to the edge (1): it is cut to 3.5, and 5 and 4 follow it.
        assert after[1, 5] == 3.5
        assert after[1, 4] == 4.25
        assert after[1, 3] == 4.0
        assert after[1, 2] == 5.5

    @pytest.mark.parametrize(("steps", "tolerance"), [(100, 0.05), (1000, 0.005)])
    def test_moves_a_knickpoint_upstream_at_its_speed(self, steps, tolerance):
        valley = np.full((3, 402), 1e3)
        valley[1, :401] = 1.0
        valley[1, 0] = 0.0
        valley = fill_depressions(valley, 1e-9)
        network = drainage_network(valley, 1.0, 1.0)

        after = valley
        for _ in range(steps):
            after = incise(after, network, np.full(valley.shape, 1.0), 200.0 / steps)

        # A step that moves 200 m at 1 m/yr, smeared by upwinding, keeps its volume.
        assert (valley - after)[1].sum() == pytest.approx(200.0, rel=tolerance)


class TestDiffuse:
    @SEEDS
    @pytest.mark.parametrize("duration", [1.0, 1e3, 1e5])
    def test_conserves_mass_to_rounding(self, seed, duration):
        ground = rough_ground(seed)

        after = diffuse(ground, 1e-1, duration, DX, DY)

        assert after.sum() == pytest.approx(ground.sum(), rel=1e-13)

    @SEEDS
    def test_makes_no_new_extreme_in_steps_of_any_length(self, seed):
        ground = rough_ground(seed)

        after = diffuse(ground, 1.0, 1e5, DX, DY)

        assert ground.min() <= after.min() <= after.max() <= ground.max()

    def test_spreads_a_heap_to_its_four_neighbours(self):
        heap = np.zeros((3, 3))
        heap[1, 1] = 8.0

        after = diffuse(heap, diffusivity=1.0, duration=1.0, dx=4.0, dy=4.0)

        assert after.tolist() == [[0.0, 0.5, 0.0], [0.5, 6.0, 0.5], [0.0, 0.5, 0.0]]

    def test_lets_a_cosine_decay_as_the_equation_says(self):
        middles = (np.arange(100) + 0.5) * 10.0
        wavenumber = np.pi / 1000.0
        wave = np.tile(np.cos(wavenumber * middles), (4, 1))

        after = diffuse(wave, 1e-1, 5e5, dx=10.0, dy=10.0)

        decay = np.exp(-1e-1 * wavenumber**2 * 5e5)
        np.testing.assert_allclose(after, wave * decay, atol=2e-4)

    def test_of_no_diffusivity_changes_nothing(self):
        ground = rough_ground(seed=1)

        assert np.array_equal(diffuse(ground, 0.0, 1e4, DX, DY), ground)


def test_a_repeated_evaluation_gives_the_same_bits():
    ground = rough_ground(seed=7, shape=(60, 70))

    first, second = (one_step(ground.copy()) for _ in range(2))

    assert first.tobytes() == second.tobytes()


def one_step(ground):
    network = drainage_network(ground, DX, DY)
    speed = 1e-3 * np.sqrt(accumulate(network, np.ones(ground.shape)))
    return diffuse(incise(ground, network, speed, 1e4), 1e-2, 1e4, DX, DY)
