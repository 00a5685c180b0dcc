"""Predictions, with what is known of each and, if it is, the truth."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crystaltensor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crystaltensor.properties import TensorProperty

    Floats = NDArray[np.float64]

_PARTS = 10


@dataclass(frozen=True, eq=False)
class Cases:
    """Predictions of an ensemble, with what is known of each and, if it is, the truth.

    Parameters
    ----------
    row : TensorProperty
        What was predicted.
    members : ndarray, shape (n_members, n, n_components)
        Allowed irreducible components, on the scale on which they are learnt.
    allowed : ndarray, shape (n, n_components, n_components)
        Projectors on what symmetry allows.
    known : mapping
        What is known of the crystal of each, as `Domain.describe` tells it.
    label : ndarray, shape (n, n_components), optional
        The truth; left out where it is not known.
    sign_known : ndarray of bool, shape (n,), optional
        False where the truth may as well be its negative.
    crystal : ndarray of int, shape (n,), optional
        To which crystal a tensor belongs, if that has several.
    part : ndarray of int, shape (n,), optional
        In which part of a cross-validation it is; left out to draw them.
    """

    row: "TensorProperty"
    members: "Floats" = field(repr=False)
    allowed: "Floats" = field(repr=False)
    known: "Mapping[str, Floats]" = field(repr=False)
    label: "Floats | None" = field(repr=False, default=None)
    sign_known: "NDArray[np.bool_] | None" = field(repr=False, default=None)
    crystal: "NDArray[np.int64] | None" = field(repr=False, default=None)
    part: "NDArray[np.int64] | None" = field(repr=False, default=None)

    @cached_property
    def mean(self) -> "Floats":
        """Mean of the members, shape (n, n_components)."""
        mean: Floats = self.members.mean(axis=0)
        return mean

    @cached_property
    def spreads(self) -> "Floats | None":
        """Covariances of the members, (n, n_components, n_components); None of one."""
        if len(self.members) < 2:
            return None
        apart = self.members - self.mean
        matrices: Floats = np.einsum("mna,mnb->nab", apart, apart, optimize=True)
        return matrices / (len(self.members) - 1)

    @cached_property
    def raw(self) -> "dict[str, Floats]":
        """What the expected size of the error is computed from."""
        spread = np.zeros(len(self.mean))
        if self.spreads is not None:
            spread = np.sqrt(np.trace(self.spreads, axis1=1, axis2=2))
        norm = np.linalg.norm(self.mean, axis=1)
        value = norm if self.row.rank else self.mean[:, 0]
        return {"spread": spread, "norm": norm, "value": value, **self.known}

    @cached_property
    def truth(self) -> "Floats":
        """The labels, with the sign of the prediction where that is a convention."""
        if self.label is None:
            raise DataError("the truth of these predictions is not known")
        if self.sign_known is None:
            return self.label
        against = np.einsum("na,na->n", self.mean, self.label) < 0
        flip = against & ~self.sign_known
        return np.where(flip[:, None], -self.label, self.label)

    @cached_property
    def weights(self) -> "Floats":
        """One vote for each crystal, shared by its tensors."""
        if self.crystal is None:
            return np.ones(len(self.mean))
        _, place, counts = np.unique(
            self.crystal, return_inverse=True, return_counts=True
        )
        votes: Floats = 1.0 / counts[place]
        return votes

    @property
    def n_crystals(self) -> int:
        """Count the crystals."""
        return round(float(self.weights.sum()))

    def folds(self) -> "list[NDArray[np.bool_]]":
        """List the parts of the cross-validation; if drawn, whole crystals, always so."""
        if self.part is not None:
            return [self.part == part for part in np.unique(self.part)]
        crystal = np.arange(len(self.mean)) if self.crystal is None else self.crystal
        kinds, place = np.unique(crystal, return_inverse=True)
        drawn = np.random.default_rng(0).permutation(len(kinds)) % _PARTS
        return [drawn[place] == part for part in range(_PARTS)]

    def take(self, chosen: "NDArray[np.bool_]") -> "Cases":
        """Return some of the cases."""

        def pick(values: Any) -> Any:  # noqa: ANN401 - an array of any kind, or None
            return None if values is None else values[chosen]

        return replace(
            self,
            members=self.members[:, chosen],
            allowed=self.allowed[chosen],
            known={name: values[chosen] for name, values in self.known.items()},
            label=pick(self.label),
            sign_known=pick(self.sign_known),
            crystal=pick(self.crystal),
            part=pick(self.part),
        )
