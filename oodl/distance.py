"""How far a dictionary is from another, and from being orthogonal."""

import numpy as np
import numpy.typing as npt

from oodl.errors import ShapeError

__all__ = ["distance", "orthogonality_defect"]

Array = npt.NDArray[np.floating]


def distance(dictionary: Array, planted: Array) -> float:
    """Tell how far two orthogonal dictionaries are apart, up to signs and order of atoms.

    ``|1 - ||D.T @ planted||_4**4 / N|``: 0 when they hold the same atoms, 1 at most.

    Parameters
    ----------
    dictionary, planted : Array
        Atoms in columns, both of shape (N, N).

    Raises
    ------
    ShapeError
        When they are not two square matrices of one size.

    References
    ----------
    Y. Xue, V. Lau, arXiv 2103.01484: the error of the experiments.

    Examples
    --------
    Swapping atoms changes nothing, mixing two of them by 45 degrees loses half.

    >>> distance(np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2))
    0.0
    >>> round(distance(np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2), np.eye(2)), 6)
    0.5
    """
    _require_square("dictionary", dictionary)
    if dictionary.shape != planted.shape:
        message = f"planted: expected shape {dictionary.shape}, got {planted.shape}"
        raise ShapeError(message)
    overlap = dictionary.T.astype(np.float64) @ planted
    squares = overlap * overlap
    return abs(1 - float(np.vdot(squares, squares)) / len(overlap))


def orthogonality_defect(dictionary: Array) -> float:
    """Return ``||D.T @ D - I||_F``, computed in float64.

    Parameters
    ----------
    dictionary : Array
        Atoms in columns, shape (N, N).

    Raises
    ------
    ShapeError
        When it is not a square matrix.

    Examples
    --------
    An atom of twice the length stands out by its energy, 4 in place of 1.

    >>> orthogonality_defect(np.eye(3)), orthogonality_defect(np.diag([2.0, 1.0, 1.0]))
    (0.0, 3.0)
    """
    _require_square("dictionary", dictionary)
    D = dictionary.astype(np.float64)
    return float(np.linalg.norm(D.T @ D - np.eye(len(D))))


def _require_square(name: str, matrix: Array) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        message = f"{name}: expected shape (N, N), got {matrix.shape}"
        raise ShapeError(message)
