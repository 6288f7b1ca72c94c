"""Trust: real codes are on the data, far ones are off it, and false alarms are as rare as said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fixtures import small_model
from vae_core.errors import ConfigError, DataError
from vae_core.latent.trust import (
    BETWEEN,
    OFF,
    ON_DATA,
    UNKNOWN,
    calibrate_trust,
    model_cycle,
    trust_of,
)
from vae_core.latent.trust_words import explain

Floats = NDArray[np.float32]


def cloud(n: int = 800, n_latent: int = 4, *, seed: int = 0) -> Floats:
    """A Gaussian cloud whose dimensions differ in spread and lie off the origin."""
    random = np.random.default_rng(seed)
    spread = np.geomspace(0.5, 2, n_latent)
    return (random.standard_normal((n, n_latent)) * spread + 1).astype(np.float32)


def two_clusters(n: int = 300) -> Floats:
    """Two clusters of width 0.1 at (−10, 0) and (10, 0), in turn."""
    random = np.random.default_rng(0)
    centre = np.where(np.arange(n)[:, None] % 2, 10, -10) * np.array([[1, 0]])
    return (centre + 0.1 * random.standard_normal((n, 2))).astype(np.float32)


def shrinking(z: Floats) -> Floats:
    """A cycle that is good where codes are small and ever worse outside."""
    return (z - 0.01 * z**3).astype(np.float32)


def test_real_codes_are_on_the_data() -> None:
    codes = cloud()
    trust = trust_of(calibrate_trust(codes), codes)
    np.testing.assert_array_equal(trust.nearest_row, np.arange(len(codes)))
    assert (trust.distance == 0).all()
    assert (trust.verdict == ON_DATA).mean() > 0.97
    assert (trust.verdict == OFF).sum() <= 1


def test_ten_times_the_radius_is_off_the_manifold() -> None:
    codes = cloud()
    trust = trust_of(calibrate_trust(codes, shrinking), 10 * codes[:50], cycle=shrinking)
    assert (trust.verdict == OFF).all()
    assert (trust.distance > 3).all()
    assert trust.norm_share.min() > 0.5


def test_between_two_clusters_is_not_on_the_data() -> None:
    codes = two_clusters()
    trust = trust_of(calibrate_trust(codes), (codes[:20] + codes[1:21]) / 2)
    assert not (trust.verdict == ON_DATA).any()
    assert (trust.distance > 100).all()
    # The radius cannot see it: both clusters lie farther out.
    assert (trust.radius_share == 0).all()


@pytest.mark.parametrize("cycle", [None, shrinking])
def test_new_real_codes_raise_no_more_false_alarms_than_promised(cycle) -> None:  # type: ignore[no-untyped-def]
    scale = calibrate_trust(cloud(3_000), cycle)
    trust = trust_of(scale, cloud(3_000, seed=1), cycle=cycle)
    alarms = (trust.verdict != ON_DATA).mean()
    assert scale.false_alarms.between == 0.05
    # 0.05 ± three standard errors of 3,000 draws, twice: of the quantile and of the share.
    assert 0.02 < alarms < 0.07
    assert (trust.verdict == OFF).mean() < 0.005


def test_few_held_out_codes_promise_less() -> None:
    scale = calibrate_trust(cloud(30))
    assert scale.n_held_out == 30
    assert scale.false_alarms == pytest.approx((2 / 31, 2 / 31))


def test_distance_is_in_units_of_the_usual_distance() -> None:
    codes = np.stack(np.meshgrid(np.arange(9), np.arange(9)), -1).reshape(-1, 2) * 2
    scale = calibrate_trust(codes.astype(np.float32))
    assert scale.typical_distance == 2
    far = np.array([[0, -6], [16, 17]], np.float32)
    np.testing.assert_allclose(trust_of(scale, far).distance, [3, 0.5])


def test_radius_is_counted_in_each_dimensions_own_spread() -> None:
    codes = cloud(5_000)
    scale = calibrate_trust(codes)
    step = scale.spread * np.array([[3, 0, 0, 0], [0, 0, 0, 3]], np.float32)
    trust = trust_of(scale, (scale.centre + step).astype(np.float32))
    np.testing.assert_allclose(trust.radius, 1.5, rtol=1e-4)
    np.testing.assert_allclose(trust_of(scale, scale.centre[None]).radius_share, 0)
    assert np.sqrt(np.square(scale.sorted_radii).mean()) == pytest.approx(1, rel=1e-3)


def test_shares_count_the_real_codes_with_less() -> None:
    codes = np.array([[1, 0], [-2, 0], [0, 3], [0, -4]], np.float32)
    trust = trust_of(calibrate_trust(codes), np.array([[2.5, 0], [0, 0], [9, 9]], np.float32))
    np.testing.assert_allclose(trust.norm_share, [0.5, 0, 1])
    np.testing.assert_allclose(trust.norm, [2.5, 0, 9 * 2**0.5])


def test_a_bad_cycle_alone_is_enough_to_doubt_a_code() -> None:
    codes = cloud()

    def broken(z: Floats) -> Floats:
        return np.where((z == codes[7]).all(1, keepdims=True), z + 5, z + 0.1).astype(np.float32)

    scale = calibrate_trust(codes, broken, held_out=np.arange(100, 800))
    trust = trust_of(scale, codes[6:9], cycle=broken)
    assert trust.cycle == pytest.approx([1, 50, 1], rel=1e-4)
    assert trust.verdict[1] == OFF
    assert trust_of(scale, codes[7:8]).verdict[0] == ON_DATA


def test_a_decoder_that_overflows_is_not_trusted() -> None:
    scale = calibrate_trust(cloud(), shrinking)
    trust = trust_of(scale, cloud(1), cycle=lambda z: z * np.float32(np.nan))
    assert trust.verdict[0] == OFF
    assert "not finite" in explain(trust, 0)


def test_dimensions_the_model_does_not_use_do_not_count() -> None:
    codes = np.concatenate([cloud(), 0.01 * cloud(seed=1)], 1)
    scale = calibrate_trust(codes)
    moved = codes[:50] + np.array([0, 0, 0, 0, 1, -1, 1, -1], np.float32)
    np.testing.assert_array_equal(scale.is_used, [True] * 4 + [False] * 4)
    assert (trust_of(scale, moved).distance == 0).all()
    assert calibrate_trust(codes * np.float32(1e-3)).is_used.sum() == 4


def test_only_held_out_codes_set_the_limits() -> None:
    codes = np.concatenate([cloud(200), 100 + 10 * cloud(200)])
    near, far = (calibrate_trust(codes, held_out=np.arange(*r)) for r in ((0, 200), (200, 400)))
    assert near.n_held_out == far.n_held_out == 200
    assert far.typical_distance > 5 * near.typical_distance


def test_the_draw_of_held_out_codes_is_seeded() -> None:
    codes = cloud()
    first, again, other = (
        calibrate_trust(codes, max_held_out=100, seed=seed).limits for seed in (0, 0, 1)
    )
    assert first == again != other


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, z = cloud(), cloud(40, seed=2)
    whole = trust_of(calibrate_trust(codes), z)
    monkeypatch.setattr("vae_core.latent.trust.CHUNK_VALUES", 1)
    pieces = trust_of(calibrate_trust(codes), z)
    np.testing.assert_array_equal(whole.distance, pieces.distance)
    np.testing.assert_array_equal(whole.verdict, pieces.verdict)


@pytest.mark.parametrize(
    "codes", [cloud(1), cloud(2), np.full((9, 4), 0.3, np.float32), np.repeat(cloud(2), 9, axis=0)]
)
def test_codes_that_say_nothing_give_no_verdict(codes: Floats) -> None:
    scale = calibrate_trust(codes, shrinking)
    trust = trust_of(scale, np.concatenate([codes[:1], codes[:1] + 1]), cycle=shrinking)
    assert trust.verdict.tolist() == [ON_DATA, UNKNOWN]
    assert trust.cycle is None
    assert "3 different real codes are needed" in explain(trust, 1)


def test_duplicates_do_not_shrink_the_usual_distance() -> None:
    once, thrice = calibrate_trust(cloud(100)), calibrate_trust(np.repeat(cloud(100), 3, axis=0))
    assert thrice.typical_distance == pytest.approx(once.typical_distance)
    assert (trust_of(thrice, cloud(100)).verdict == ON_DATA).mean() > 0.9


def test_the_reason_is_said_in_words() -> None:
    codes = cloud()
    scale = calibrate_trust(codes, shrinking)
    trust = trust_of(scale, np.stack([codes[0], codes[0] + 50]), cycle=shrinking)
    assert explain(trust, 0).startswith("On the data: the nearest real code is 0.00 typical")
    assert explain(trust, 1).startswith("Off the manifold: the nearest real code is")
    assert "which at most 0.4% of real pictures would show." in explain(trust, 1)
    assert "farther out than 100% of the real codes (limit" in explain(trust, 1)


def test_a_code_a_little_outside_is_between_and_only_its_reason_is_given() -> None:
    scale = calibrate_trust(cloud(3_000))
    middle = np.mean(scale.limits["radius"], dtype=np.float32)
    # Along one axis from the centre: a known radius.
    z = scale.centre + np.eye(4, dtype=np.float32)[:1] * scale.spread * 2 * middle
    trust = trust_of(scale, z.astype(np.float32))
    assert trust.radius[0] == pytest.approx(middle, rel=1e-4)
    assert trust.verdict[0] == BETWEEN
    assert explain(trust, 0).startswith("Between: ")
    assert "5.0% of real pictures" in explain(trust, 0)


def test_a_models_cycle_decodes_and_encodes() -> None:
    model, z = small_model(), cloud(7, 3)
    again = model_cycle(model)(z)
    assert again.shape == z.shape
    trust = trust_of(calibrate_trust(cloud(40, 3), model_cycle(model)), z, cycle=model_cycle(model))
    assert trust.cycle is not None
    assert np.isfinite(trust.cycle).all()


def test_no_codes_give_no_figures() -> None:
    assert len(trust_of(calibrate_trust(cloud()), cloud(0))) == 0


def test_input_that_is_none_is_refused() -> None:
    scale = calibrate_trust(cloud())
    with pytest.raises(DataError, match=r"shape \(2, 5\) came, expected \[N, 4\]"):
        trust_of(scale, cloud(2, 5))
    with pytest.raises(DataError, match="NaN or infinity"):
        trust_of(scale, np.full((1, 4), np.nan, np.float32))
    with pytest.raises(DataError, match=r"shape \(0, 4\) came"):
        calibrate_trust(cloud(0))
    with pytest.raises(DataError, match="rows from 5 to 900 came, expected 0 to 799"):
        calibrate_trust(cloud(), held_out=np.array([5, 6, 900]))
    with pytest.raises(ConfigError, match="give the cycle to calibrate_trust as well"):
        trust_of(scale, cloud(1), cycle=shrinking)


def test_draws_from_the_posteriors_are_on_the_data_once_calibrated_with_their_width() -> None:
    codes = cloud(n_latent=16)
    width = np.full_like(codes, np.log(1.5))
    noise = np.random.default_rng(1).standard_normal(codes.shape).astype(np.float32)
    drawn = codes + np.exp(width) * noise
    by_mean, by_draw = calibrate_trust(codes), calibrate_trust(codes, log_std=width)
    assert (trust_of(by_mean, drawn).verdict == ON_DATA).mean() < 0.5
    assert (trust_of(by_draw, drawn).verdict == ON_DATA).mean() > 0.9
    assert (trust_of(by_draw, 10 * drawn[:20]).verdict == OFF).all()
