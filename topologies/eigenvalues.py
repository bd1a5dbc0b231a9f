"""The few eigenvalues and singular values that the measures need, dense or sparse."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh

DENSE_LIMIT = 2000  # nodes up to which the plain dense routines are quick and exact
LANCZOS_RESTARTS = 300


def dense(W: NDArray[np.float64] | scipy.sparse.csr_array) -> NDArray[np.float64]:
    """W as a plain array."""
    return np.asarray(W if isinstance(W, np.ndarray) else W.toarray(), dtype=np.float64)


def extreme_eigenvalues(S: NDArray[np.float64] | scipy.sparse.csr_array, top: float) -> tuple[float, float]:
    """Second largest and smallest eigenvalue of a symmetric matrix [N, N] whose largest is ``top``.

    Both are ``top`` for N = 1.  Above ``DENSE_LIMIT`` the smallest is only bounded from below where it
    cannot be the larger one in absolute value.
    """
    count = S.shape[0]
    if count == 1:
        return top, top
    if count <= DENSE_LIMIT:
        values = np.linalg.eigvalsh(dense(S))
        return float(values[-2]), float(values[0])
    second = _second_below(S, top)
    lowest = float((2 * S.diagonal() - np.asarray(abs(S).sum(axis=1))).min())  # Gershgorin's circles
    if abs(lowest) <= abs(second):
        return second, lowest
    return second, float(eigsh(S, k=1, which="SA", v0=_start(count), return_eigenvectors=False)[0])


def _second_below(S: scipy.sparse.csr_array, top: float) -> float:
    """The eigenvalue next to ``top``: directly where it stands apart, else by inverting just above it."""
    count = S.shape[0]
    options = {"k": 2, "v0": _start(count), "return_eigenvectors": False}
    try:
        return float(min(eigsh(S, which="LA", maxiter=LANCZOS_RESTARTS, **options)))
    except ArpackNoConvergence:
        return float(min(eigsh(scipy.sparse.csc_array(S), sigma=top + 1e-6, which="LM", **options)))


def second_largest_modulus(W: NDArray[np.float64] | scipy.sparse.csr_array) -> float:
    """Second largest |eigenvalue| of any matrix [N, N]; 0 for N = 1."""
    count = W.shape[0]
    if count == 1:
        return 0.0
    if count <= DENSE_LIMIT:
        return float(np.sort(np.abs(np.linalg.eigvals(dense(W))))[-2])
    found = eigs(W, k=2, which="LM", v0=_start(count), return_eigenvectors=False)
    return float(np.abs(found).min())


def norm_beside(W: NDArray[np.float64] | scipy.sparse.csr_array, known: NDArray[np.float64]) -> float:
    """``||W - q q'||_2`` for the unit vector q = ``known`` [N], with W q = q and q' W = q'."""
    count = W.shape[0]
    if count <= DENSE_LIMIT:
        return float(np.linalg.norm(dense(W) - np.outer(known, known), 2))

    def twice(x: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = x.ravel()
        once = W @ flat - known * (known @ flat)
        return np.asarray(W.T @ once - known * (known @ once))

    square = LinearOperator((count, count), matvec=twice, dtype=np.float64)
    largest = eigsh(square, k=1, which="LM", v0=_start(count), return_eigenvectors=False)
    return float(np.sqrt(max(largest[0], 0.0)))


def _start(count: int) -> NDArray[np.float64]:
    """A fixed start for the iterations, so that their results are repeatable."""
    return np.random.default_rng([count, 0x5354]).standard_normal(count)
