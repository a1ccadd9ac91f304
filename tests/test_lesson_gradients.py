"""Every gradient that the lessons write out by hand, entry by entry, against finite differences; GAE and its relatives by hand."""
import math

import numpy as np
import pytest

from pharmgpt.lessons import language_model as lm
from pharmgpt.lessons import ppo, reward
from pharmgpt.lessons.entropy import floor_of, unigram_entropy
from pharmgpt.lessons.language_model import Model, Text

WORDS, WIDTH, STATES = 7, 3, 11


def numerical(loss, parameter: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of `loss()` in every entry of a parameter that it reads."""
    slope = np.zeros_like(parameter)
    for place in np.ndindex(parameter.shape):
        before = parameter[place]
        parameter[place] = before + step
        above = loss()
        parameter[place] = before - step
        slope[place] = (above - loss()) / (2 * step)
        parameter[place] = before
    return slope


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def model(rng):
    return Model(rng.normal(size=(3 * WORDS, WIDTH)), rng.normal(size=(WIDTH, WORDS)), rng.normal(size=WORDS))


def assert_every_entry_agrees(slope: Model, loss, model: Model):
    for name, parameter in model._asdict().items():
        np.testing.assert_allclose(getattr(slope, name), numerical(loss, parameter), atol=1e-7, err_msg=name)


def test_the_language_model_gradient_equals_finite_differences(model, rng):
    states = lm.States((rng.random((STATES, 3 * WORDS)) < 0.4).astype(float), rng.integers(0, WORDS, STATES))
    _, slope = lm.loss_and_gradient(model, states)
    assert_every_entry_agrees(slope, lambda: lm.loss_and_gradient(model, states)[0], model)


def test_a_flipped_sign_in_the_gradient_would_be_seen(model, rng):
    states = lm.States((rng.random((STATES, 3 * WORDS)) < 0.4).astype(float), rng.integers(0, WORDS, STATES))
    _, slope = lm.loss_and_gradient(model, states)
    with pytest.raises(AssertionError):
        assert_every_entry_agrees(slope._replace(b=-slope.b), lambda: lm.loss_and_gradient(model, states)[0], model)


def test_the_clipped_surrogate_gradient_equals_finite_differences_on_both_sides_of_the_clip(model, rng):
    x, tokens = (rng.random((STATES, 3 * WORDS)) < 0.4).astype(float), rng.integers(0, WORDS, STATES)
    now = lm.run(model, x).logprobs[np.arange(STATES), tokens]
    away = np.resize([0.0, 0.1, -0.1, 0.5, -0.5], STATES)  # inside the clip, and beyond it on either side
    experience = ppo.Experience(x, tokens, now - away, np.resize([1.0, -2.0], STATES), np.zeros(STATES))
    surrogate = ppo.surrogate_and_gradient(model, experience, clip=0.2)
    assert surrogate.clip_fraction == pytest.approx((np.abs(np.exp(away) - 1) > 0.2).mean()) and 0 < surrogate.clip_fraction < 1
    assert_every_entry_agrees(surrogate.slope, lambda: ppo.surrogate_and_gradient(model, experience, clip=0.2).loss, model)


def test_the_surrogate_is_the_papers_minimum_worked_by_hand(model, rng):
    """Ratio 1.5 with clip .2: gain +1 counts 1.2 and has no gradient; gain −1 counts −1.5 and has one."""
    x, tokens = np.ones((1, 3 * WORDS)), np.array([2])
    now = lm.run(model, x).logprobs[0, 2]
    for advantage, worth, moves in ((1.0, 1.2, False), (-1.0, -1.5, True)):
        surrogate = ppo.surrogate_and_gradient(model, ppo.Experience(x, tokens, np.array([now - math.log(1.5)]), np.array([advantage]),
                                                                     np.zeros(1)), clip=0.2)
        assert surrogate.loss == pytest.approx(-worth)
        assert surrogate.slope.b.any() == moves


def test_the_value_gradient_equals_finite_differences(rng):
    critic, x, returns = rng.normal(size=5), rng.normal(size=(STATES, 5)), rng.normal(size=STATES)
    _, slope = ppo.value_loss_and_gradient(critic, x, returns)
    np.testing.assert_allclose(slope, numerical(lambda: ppo.value_loss_and_gradient(critic, x, returns)[0], critic), atol=1e-7)


def test_the_bradley_terry_gradient_equals_finite_differences(rng):
    w, f = rng.normal(size=6), rng.normal(size=(2, 4, 6))
    _, slope = reward.loss_and_gradient(w, f)
    np.testing.assert_allclose(slope, numerical(lambda: reward.loss_and_gradient(w, f)[0], w), atol=1e-8)


def test_a_step_down_the_bradley_terry_gradient_raises_the_margin_and_a_step_up_lowers_it(rng):
    f = rng.normal(size=(2, 1, 6))
    loss, slope = reward.loss_and_gradient(np.zeros(6), f)
    assert loss == pytest.approx(math.log(2))
    assert ((f[0] - f[1]) @ -slope).item() > 0 > ((f[0] - f[1]) @ slope).item()


def test_the_loss_depends_on_the_difference_of_the_scores_alone(rng):
    w, f = rng.normal(size=6), rng.normal(size=(2, 4, 6))
    assert reward.loss_and_gradient(w, f + 3.0)[0] == pytest.approx(reward.loss_and_gradient(w, f)[0])


def test_gae_equals_sums_worked_by_hand():
    """λ = .5: δ = (0 + 2 − 1, 1 + 0 − 2) = (1, −1); A = (1 − .5, −1). The second answer is one word long."""
    rewards, values = np.array([[0.0, 1.0], [3.0, 0.0]]), np.array([[1.0, 2.0], [1.0, 9.0]])
    is_action = np.array([[True, True], [True, False]])
    np.testing.assert_allclose(ppo.gae(rewards, values, is_action, 0.5), [[0.5, -1.0], [2.0, 0.0]])


def test_with_lambda_1_the_returns_are_the_sums_of_what_follows(rng):
    rewards, values = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    returns = ppo.gae(rewards, values, np.ones((3, 5), bool), 1.0) + values
    np.testing.assert_allclose(returns, rewards[:, ::-1].cumsum(axis=1)[:, ::-1])


def test_states_hold_the_last_two_words_and_all_words_read():
    states = lm.states_of(Text((5, 3), (4,)))
    words = lm.first_state(1).shape[1] // 3
    assert states.targets.tolist() == [4, lm.TOKENS[lm.END]]  # the prompt is context: not learnt
    assert np.flatnonzero(states.x[0]).tolist() == [3, words + 5, 2 * words + 3, 2 * words + 5]


def test_the_floor_and_the_unigram_entropy_are_those_worked_by_hand():
    """Texts "5 6 end" and "5 7 end": one coin toss in six choices; words 5, 5, 6, 7, end, end."""
    texts = (Text((), (5, 6)), Text((), (5, 7)))
    assert floor_of(texts) == pytest.approx(2 * math.log(2) / 6)
    assert unigram_entropy(texts) == pytest.approx((4 * math.log(3) + 2 * math.log(6)) / 6)


def test_sampling_follows_the_probabilities(rng):
    drawn = lm.draw(np.tile([0.2, 0.0, 0.8], (20_000, 1)), rng)
    assert set(drawn) == {0, 2} and (drawn == 2).mean() == pytest.approx(0.8, abs=0.01)
