"""Full-batch training. (That its weights are those of scikit-learn is among the tests of `fit`.)"""

import numpy as np

from skbandit._tabular.training.solvers import Hyper


def test_lbfgs_can_be_watched_stopped_and_interrupted(make_listener, rows, train, assert_equal):
    def interrupt(n, network):
        if n == 3:
            raise KeyboardInterrupt

    whole = train(rows(), solver="lbfgs", max_iter=3)
    assert whole.status == "max_iter"
    watch = make_listener(after=lambda n, network: n == 3)
    stopped = train(rows(), solver="lbfgs", max_iter=50, listener=watch)
    interrupted = train(rows(), solver="lbfgs", max_iter=50, listener=make_listener(after=interrupt))
    assert (stopped.status, interrupted.status) == ("stopped", "interrupted")
    for trained in (stopped, interrupted):
        assert_equal(trained.network, whole.network)
        assert trained.loss_curve == whole.loss_curve
    assert watch.losses == whole.loss_curve
    assert (np.diff(whole.loss_curve) < 0).all()


def test_lbfgs_converges_where_there_is_nothing_left_to_gain(rows, train):
    options = {"solver": "lbfgs", "max_iter": 2000, "hyper": Hyper(alpha=1.0, tol=1e-6), "dtype": "float64"}
    trained = train(rows(), **options)
    assert trained.status == "converged"
    again = train(rows(), trained.network, **options)
    # SciPy also stops where a step gains 2e-9 of the loss; a fresh start may find some more of such steps.
    assert 0 <= trained.best_loss - again.best_loss < 1e-6 * trained.best_loss
