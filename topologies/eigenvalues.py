"""The few eigenvalues and singular values that the measures need, dense or sparse."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigs, eigsh

DENSE_LIMIT = 2000  # nodes up to which the plain dense routines are quick and exact


def dense(W: NDArray[np.float64] | scipy.sparse.csr_array) -> NDArray[np.float64]:
    """W as a plain array."""
    return np.asarray(W if isinstance(W, np.ndarray) else W.toarray(), dtype=np.float64)


def extreme_eigenvalues(S: NDArray[np.float64] | scipy.sparse.csr_array) -> tuple[float, float]:
    """Second largest and smallest eigenvalue of a symmetric matrix [N, N]; both 0 for N = 1."""
    count = S.shape[0]
    if count == 1:
        return 0.0, 0.0
    if count <= DENSE_LIMIT:
        values = np.linalg.eigvalsh(dense(S))
        return float(values[-2]), float(values[0])
    start = _start(count)
    largest_two = eigsh(S, k=2, which="LA", v0=start, return_eigenvectors=False)
    smallest = eigsh(S, k=1, which="SA", v0=start, return_eigenvectors=False)
    return float(min(largest_two)), float(smallest[0])


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
