import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit.criteria import Bandit
from skbandit.rewards import OffsetClipReward, SmoothReward

FEW = settings(max_examples=40, deadline=None, derandomize=True)
#: One length, so that nothing is compiled twice; float32 numbers away from its underflow.
DAMAGES = st.lists(
    st.floats(-1e6, 1e6, width=32).filter(lambda d: d == 0 or abs(d) > 1e-6), min_size=7, max_size=7
).map(lambda values: np.array(values, np.float32))
ALL = np.ones(7, bool)
EVERY = pytest.mark.parametrize("reward", [SmoothReward(), SmoothReward(width=3.0), OffsetClipReward()], ids=repr)


@EVERY
@FEW
@given(damage=DAMAGES)
def test_reward_is_in_the_unit_interval_and_falls_with_damage(reward, damage):
    damage = np.sort(damage)
    values = np.asarray(reward(damage, reward.scale(damage, ALL)))
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) <= 0).all()


@FEW
@given(damage=DAMAGES, unit=st.sampled_from([2.0**-20, 2.0**-3, 2.0**10]))
def test_smooth_reward_does_not_depend_on_the_unit_of_the_loss(damage, unit):
    # Powers of two: no rounding, so the rewards are the same to the last bit.
    reward = SmoothReward()
    if not np.any(reward.scale(damage, ALL) == 1):  # all damages 0, which have no unit; or a median of just 1
        rescaled = np.float32(unit) * damage
        np.testing.assert_array_equal(
            reward(rescaled, reward.scale(rescaled, ALL)), reward(damage, reward.scale(damage, ALL))
        )


def test_smooth_reward_by_hand():
    damage = np.array([0.0, 2.0, -4.0, 6.0, -1.0, 3.0, 100.0], np.float32)
    scale = SmoothReward().scale(damage, ALL)
    assert scale == 3  # |d| in order, without 0: 1 2 3 4 6 100
    expected = 1 / (1 + np.exp(damage.astype(float) / 3))
    np.testing.assert_allclose(SmoothReward()(damage, scale), expected, rtol=1e-5, atol=1e-9)
    assert SmoothReward(width=2.0).scale(damage, ALL) == 6


def test_scale_is_the_lower_median_of_the_active_units():
    damage = np.array([5.0, -1.0, 50.0, 2.0, 3.0, 70.0, 4.0], np.float32)
    active = np.array([True, True, False, True, True, False, False])
    assert SmoothReward().scale(damage, active) == 2  # of 1 2 3 5
    assert SmoothReward().scale(np.where(active, damage, np.nan), active) == 2


def test_undamaging_units_all_get_one_half():
    damage = np.zeros(7, np.float32)
    scale = SmoothReward().scale(damage, ALL)
    np.testing.assert_array_equal(SmoothReward()(damage, scale), 0.5)


def test_smooth_reward_does_not_overflow():
    values = SmoothReward()(jnp.array([-3e38, 3e38]), jnp.float32(1e-30))
    np.testing.assert_array_equal(values, [1, 0])


def test_offset_clip_by_hand():
    damage = np.array([-5.0, -0.8, 0.0, 0.1, 0.2, 3.0], np.float32)
    # 0.2 - d, cut to [0, 1].
    np.testing.assert_allclose(OffsetClipReward()(damage, 1.0), np.array([1, 1, 0.2, 0.1, 0, 0]), rtol=1e-6, atol=1e-7)
    assert OffsetClipReward().scale(jnp.asarray(damage), np.ones(6, bool)) == 1


def test_rewards_have_parameters_that_meta_estimators_can_set():
    reward = SmoothReward()
    other = reward.set_params(width=2.0)
    assert other.get_params() == {"width": 2.0}
    assert reward.get_params() == {"width": 1.0}  # the original is immutable
    with pytest.raises(ValueError, match=r"Invalid parameter 'widht' .* Valid parameters are: \['width'"):
        reward.set_params(widht=2.0)


def test_units_without_damage_do_not_set_the_scale():
    # Four dead units and damages of 0.01, 0.02, 0.04: the median of those three.
    damage = jnp.array([0, 0, 0, 0, 0.01, 0.02, 0.04])
    assert float(SmoothReward().scale(damage, ALL)) == pytest.approx(0.02)
    assert float(SmoothReward().scale(jnp.zeros(7), ALL)) == 1.0


@pytest.mark.parametrize(
    "wrong", [SmoothReward(width=0.0), SmoothReward(width="1"), OffsetClipReward(offset=1.5), OffsetClipReward(-0.1)]
)
def test_values_out_of_bounds_are_refused_where_a_reward_is_used(wrong):
    with pytest.raises(ValueError, match=f"'(width|offset)' parameter of {type(wrong).__name__} must be"):
        wrong.check()
    with pytest.raises(ValueError, match=f"parameter of {type(wrong).__name__} must be"):
        Bandit(reward=wrong).check()
