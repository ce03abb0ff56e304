r"""Criteria that train multiplicative noise on the units, and remove units that the model does not need.

The output of every unit is multiplied by a random :math:`\theta` with a learned, truncated log-normal distribution
(`skbandit.criteria.noise`). A copy of the network is trained together with these distributions on the calibration
rows, to minimise

.. math:: \frac{1}{n} \sum_i l_i + \beta \sum_l \mathrm{KL}_l;

The learned distribution of :math:`\theta` then tells which units may be removed. The criteria of this module train the
same model and differ in how they use it. The trained weights are discarded: all criteria prune the same network.

The cost is ``n_steps`` forward and backward passes of a mini-batch in every round of pruning.

References
----------
.. [1] D. Wright, C. Igel, R. Selvan (2024). BMRS: Bayesian model reduction for structured pruning. NeurIPS. arXiv
   2406.01345.
.. [2] K. Neklyudov, D. Molchanov, A. Ashukha, D. Vetrov (2017). Structured Bayesian pruning via log-normal
   multiplicative noise. arXiv 1705.07283.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import NON_NEGATIVE, NONE, POSITIVE, Number, OneOf
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.ranking import places
from skbandit._core.scope import spread
from skbandit.criteria import noise
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls, trainable
from skbandit.criteria.descent import STEPS, Adam, descend
from skbandit.networks.capabilities import GATES_BY_ROW, SQUARED_ERRORS, offers

#: Initial μ and log σ of every unit: θ is near 1.
START = 0.0, -5.0
#: An E[θ] below the resolution of a float32 near 1 counts as no output.
NOTHING = 2.0**-noise.FLOAT_BITS


class Noise(NamedTuple):
    """Parameters of the distribution of each unit's θ, f[n] each."""

    mu: jax.Array
    log_sigma: jax.Array


@pytree_dataclass
class NoiseCriterion(Criterion):
    r"""Base of the criteria of this module: the noise model and its training.

    Parameters
    ----------
    n_steps : int, default=3000
        Number of steps of Adam, each on a mini-batch. With fewer than about 650 steps, at the default learning rate, no
        distribution can move far enough for any of the criteria.
    learning_rate : float, default=1e-3
        Learning rate of the weights.
    noise_learning_rate : float, default=1e-2
        Learning rate of the distributions.
    kl : {"mean", "elbo"}, default="mean"
        ``"mean"``: :math:`\mathrm{KL}_l` is the mean over the units of layer :math:`l`, and the sum over layers is
        divided by their number, as in the released code of [1]_. ``"elbo"``: the sum over all units, divided by the
        summed weight of the rows (the evidence lower bound). ``"mean"`` is stronger by the number of rows per unit.
    kl_weight : float, default=1.0
        The factor :math:`\beta`.
    noise_variance : float or None, default=None
        Divisor that makes the loss a negative log likelihood: for squared errors, the variance of the target around the
        prediction. None: for squared errors of a dense network, the variance on the calibration rows before training; 1
        for all other losses.
    mode : {"post", "continuous"}, default="post"
        ``"post"``: judge the units after training. ``"continuous"``: judge them after every pass over the rows, and
        train on without the units that would be removed.
    """

    draws_by_row: ClassVar[bool] = True
    constraints: ClassVar = {
        "n_steps": (STEPS,),
        "learning_rate": (NON_NEGATIVE,),
        "noise_learning_rate": (NON_NEGATIVE,),
        "kl": (OneOf(("mean", "elbo")),),
        "kl_weight": (NON_NEGATIVE,),
        "noise_variance": (NONE, POSITIVE),
        "mode": (OneOf(("post", "continuous")),),
    }

    n_steps: int = 3000
    learning_rate: float = 1e-3
    noise_learning_rate: float = 1e-2
    kl: str = static(default="mean")
    kl_weight: float = 1.0
    noise_variance: float | None = None
    mode: str = static(default="post")

    @property
    def suggests(self) -> bool:
        """True: the model names a set of units."""
        return True

    @abc.abstractmethod
    def judge(self, learned: Noise) -> tuple[jax.Array, jax.Array]:
        """Return a value for each unit, f[n], higher = safer to remove; and the set of units to remove, bool[n]."""

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Train the noise model and judge the units."""
        learned, left = self._train(key, problem, active)
        value, redundant = self.judge(learned)
        gone = active & ~left
        # Units that were switched off during training were redundant then.
        suggested = active & (redundant | gone)
        if self.mode == "continuous":
            value = -places(gone.astype(value.dtype), value).astype(value.dtype)
        return state, scores_without_pulls(value, suggested)

    def _train(self, key: jax.Array, problem: Problem, active: jax.Array) -> tuple[Noise, jax.Array]:
        groups, batches = problem.network.groups, problem.batches
        dtype, n = problem.gates[0].dtype, problem.n_units
        none = tuple(jnp.zeros_like(g) for g in problem.gates)
        by_row = offers(problem.network, GATES_BY_ROW)
        n_groups, n_rows = len(groups.sizes), jnp.sum(batches.total)
        scale = self._likelihood_scale(problem)

        def penalty(learned: Noise, left: jax.Array) -> jax.Array:
            divergence = jnp.where(left, noise.divergence(*learned), 0)
            if self.kl == "elbo":
                return jnp.sum(divergence) / n_rows
            counts = [jnp.maximum(jnp.sum(part), 1) for part in groups.split(left)]
            layers = zip(groups.split(divergence), counts, strict=True)
            return jnp.sum(jnp.stack([jnp.sum(d) / count for d, count in layers])) / n_groups

        floats, rebuild = trainable(problem.params)

        def loss(
            trained: tuple[list[jax.Array], Noise],
            key: jax.Array,
            left: jax.Array,
            X: jax.Array,
            y: jax.Array,
            weight: jax.Array,
            row_id: jax.Array,
        ) -> jax.Array:
            params, learned = rebuild(trained[0]), trained[1]
            theta = noise.sample(key, learned.mu, learned.log_sigma, row_id if by_row else row_id[:1] * 0)
            theta = jnp.where(left, theta, 0) if by_row else jnp.where(left, theta[0], 0)
            gates = tuple(jnp.moveaxis(part, 0, -1) for part in groups.split(jnp.moveaxis(theta, -1, 0)))
            data = problem.network.batch_loss(params, gates, none, X, y, weight)
            return data / scale + self.kl_weight * penalty(learned, left)

        of_weights, of_noise = Adam(self.learning_rate), Adam(self.noise_learning_rate)

        def body(t: jax.Array, share: jax.Array, carry: Any) -> Any:
            weights, distributions, left = carry
            batch = lax.rem(t, batches.n_batches)
            *rows, _ = batches.take(batch)
            rows.append(lax.dynamic_index_in_dim(batches.row_id, batch, keepdims=False))
            trained = weights.value, distributions.value
            gradient = jax.grad(loss)(trained, jax.random.fold_in(key, t), left, *spread(*rows))
            weights = of_weights.step(weights, gradient[0])
            distributions = of_noise.step(distributions, gradient[1])
            learned = distributions.value
            learned = Noise(jnp.clip(learned.mu, noise.LOW, noise.HIGH), learned.log_sigma)
            if self.mode == "continuous":
                over = batch == batches.n_batches - 1
                left = jnp.where(over, active & ~self.judge(learned)[1], left)
            return weights, distributions._replace(value=learned), left

        learned = Noise(*(jnp.full(n, at, dtype) for at in START))
        start = of_weights.begin(floats), of_noise.begin(learned), active
        _, distributions, left = descend(self.n_steps, body, start)
        return distributions.value, left

    def _likelihood_scale(self, problem: Problem) -> jax.Array:
        """Return the divisor that makes the loss a negative log likelihood: for squared errors, the variance."""
        one, network = jnp.ones((), problem.gates[0].dtype), problem.network
        # Number of squared errors of which the loss is the mean; None for other losses.
        n_errors = network.n_squared_errors if offers(network, SQUARED_ERRORS) else None
        if self.noise_variance is not None:
            return one * self.noise_variance / (n_errors or 1)
        if n_errors is None:
            return one
        mean_loss = problem.mean_loss(problem.params, problem.gates)
        return jnp.maximum(2 * mean_loss, jnp.finfo(one.dtype).eps) / n_errors


@pytree_dataclass
class BMRSNormal(NoiseCriterion):
    r"""BMRS_N: Bayesian model reduction with a narrow normal prior at the lower bound of :math:`\log \theta`.

    A unit is suggested for removal if this prior does not lower the evidence, :math:`\Delta F \ge 0`. Units are ranked
    by :math:`\Delta F`.

    Parameters
    ----------
    offset : float, default=0.9189
        Number added to :math:`\Delta F`. 0 is equation 8 of the paper. The default, ½ log 2π, is what the released code
        adds, because it leaves out the 2π, and what the published results are based on. With 0, a unit whose posterior
        equals the prior is kept, and hardly any unit is suggested.
    """

    name: ClassVar[str] = "bmrs_n"
    constraints: ClassVar = NoiseCriterion.constraints | {"offset": (Number(),)}

    offset: float = noise.RELEASED_OFFSET

    def judge(self, learned: Noise) -> tuple[jax.Array, jax.Array]:
        """Compare the evidence of the two priors."""
        change = noise.evidence_change_normal(*learned) + self.offset
        return change, change >= 0


@pytree_dataclass
class BMRSUniform(NoiseCriterion):
    r"""BMRS_U: Bayesian model reduction with a log-uniform prior of :math:`\theta` below :math:`2^{-p_1}`.

    A unit is suggested for removal if this prior does not lower the evidence, or if :math:`E[\theta] < 2^{-23}`, below
    the range of the prior. :math:`\Delta F` separates the units well but ranks them badly. Suggested units are
    therefore ranked first, and both parts by :math:`E[\theta]`.

    Parameters
    ----------
    bits : float, default=8
        The exponent :math:`p_1`. A smaller one, such as 4, suggests more units.
    """

    name: ClassVar[str] = "bmrs_u"
    constraints: ClassVar = NoiseCriterion.constraints | {"bits": (Number(0, noise.FLOAT_BITS, closed="neither"),)}

    bits: float = 8.0

    def judge(self, learned: Noise) -> tuple[jax.Array, jax.Array]:
        """Compare the evidence of the two priors."""
        mean = noise.mean(*learned)
        redundant = (noise.evidence_change_uniform(*learned, self.bits) >= 0) | (mean < NOTHING)
        return redundant - mean, redundant


@pytree_dataclass
class SignalToNoise(NoiseCriterion):
    r"""The signal-to-noise ratio :math:`E[\theta] / \mathrm{sd}(\theta)` of structured Bayesian pruning.

    Parameters
    ----------
    threshold : float, default=1.0
        Units of at most this ratio are suggested for removal.
    """

    name: ClassVar[str] = "snr"
    constraints: ClassVar = NoiseCriterion.constraints | {"threshold": (NON_NEGATIVE,)}

    threshold: float = 1.0

    def judge(self, learned: Noise) -> tuple[jax.Array, jax.Array]:
        """Rank units by the ratio, lowest first."""
        ratio = noise.signal_to_noise(*learned)
        return -ratio, ratio <= self.threshold


@pytree_dataclass
class ExpectedGate(NoiseCriterion):
    r"""The expected gate :math:`E[\theta]`.

    Parameters
    ----------
    threshold : float, default=0.1
        Units of at most this expectation are suggested for removal.
    """

    name: ClassVar[str] = "expected_gate"
    constraints: ClassVar = NoiseCriterion.constraints | {"threshold": (NON_NEGATIVE,)}

    threshold: float = 0.1

    def judge(self, learned: Noise) -> tuple[jax.Array, jax.Array]:
        """Rank units by the expectation, lowest first."""
        mean = noise.mean(*learned)
        return -mean, mean <= self.threshold
