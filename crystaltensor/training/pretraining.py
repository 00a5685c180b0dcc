"""Learning descriptors of atoms first, and tensors from there."""

from typing import TYPE_CHECKING

from crystaltensor.training.loop import Run
from crystaltensor.training.metrics import TensorMetrics, measure
from crystaltensor.training.task import label_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Pretraining(Run):
    """A run whose labels are descriptors of atoms, all equally important.

    Parameters
    ----------
    network, data, config, folder, device
        As for `Run`; the network is a `Describer`, the labels are rows of descriptors.
    """

    def losses(self, predicted: "Tensor", chosen: "NDArray[np.int64]") -> "Tensor":
        """Return the mean square of the errors of each atom."""
        label = self.choices[label_rows(self.data, chosen), 0].to(self.device)
        squares: Tensor = (predicted.float() - label).square().mean(dim=1)
        return squares

    def compare(
        self, predicted: "NDArray[np.float64]", part: "NDArray[np.int64]"
    ) -> TensorMetrics:
        """Compare rows of descriptors with those of the table, by their distance."""
        return measure(predicted, self.data.tensors[label_rows(self.data, part)])
