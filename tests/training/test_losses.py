"""Losses: blind to the sign where it is a convention, smooth, scaled."""

import numpy as np
import pytest
import torch

from crystaltensor.training.losses import (
    frobenius_errors,
    nearest_errors,
    relative_huber,
)
from crystaltensor.training.metrics import measure, nearest_labels


def test_the_sign_counts_only_where_it_is_known() -> None:
    """The negative of a label is as good, or twice as bad as zero."""
    label = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    errors = frobenius_errors(-label, label, torch.tensor([True, False]))
    norms = label.flatten(1).norm(dim=1)
    torch.testing.assert_close(errors[0], 2 * norms[0])
    assert errors[1] < 1e-5


def test_errors_are_frobenius_norms() -> None:
    """All components count, shear ones twice or more."""
    label = torch.zeros(1, 3, 3, 3, dtype=torch.float64)
    predicted = label.clone()
    predicted[0, 0, 1, 2] = predicted[0, 0, 2, 1] = 3.0
    errors = frobenius_errors(predicted, label, torch.tensor([True]))
    assert errors.item() == pytest.approx(3 * np.sqrt(2))


def test_any_of_what_a_label_may_be_is_as_good() -> None:
    """For the loss and for the figures; and the negative where the sign is free."""
    choices = torch.randn(2, 3, 3, 3, 3, dtype=torch.float64)
    known = torch.tensor([True, False])
    for place in range(3):
        errors = nearest_errors(choices[:, place], choices, known)
        assert errors.max() < 1e-5
        nearest = nearest_labels(
            choices[:, place].numpy(), choices.numpy(), up_to_sign=~known.numpy()
        )
        np.testing.assert_array_equal(nearest, choices[:, place].numpy())
    errors = nearest_errors(-choices[:, 1], choices, known)
    assert errors[0] > 1
    assert errors[1] < 1e-5


def test_one_choice_is_a_label() -> None:
    """With the errors that it would have without a choice."""
    label, predicted = torch.randn(2, 5, 3, 3, 3, dtype=torch.float64)
    known = torch.tensor([True, False, True, False, True])
    torch.testing.assert_close(
        nearest_errors(predicted, label[:, None], known),
        frobenius_errors(predicted, label, known),
    )


def test_the_loss_is_quadratic_below_the_scale_and_linear_above() -> None:
    """Doubling a small error costs four times as much, a large one twice."""
    label = torch.zeros(1, 3, 3, dtype=torch.float64)

    def loss(error: float) -> float:
        return float(
            relative_huber(torch.tensor([error]), label, floor=1.0, softness=1.0)[0]
        )

    assert loss(0.002) / loss(0.001) == pytest.approx(4, rel=1e-3)
    assert loss(2000.0) / loss(1000.0) == pytest.approx(2, rel=1e-2)


def test_the_loss_has_gradients_everywhere() -> None:
    """At the label itself too."""
    label = torch.randn(4, 3, 3, dtype=torch.float64)
    known = torch.tensor([True, True, False, False])
    predicted = label.clone() + torch.tensor([0, 0.1, 0.2, 1.0]).view(4, 1, 1)
    predicted.requires_grad_()
    errors = frobenius_errors(predicted, label, known)
    relative_huber(errors, label, floor=0.5, softness=1.0).sum().backward()
    assert torch.isfinite(predicted.grad).all()
    assert predicted.grad[1:].abs().max() > 0


def test_metrics_of_a_case_worked_by_hand() -> None:
    """Three vectors-in-disguise with errors of 1, 0.04 and 2 on norms of 10, 1 and 1."""
    label = np.zeros((3, 3, 3))
    label[:, 0, 0] = [10, 1, 1]
    predicted = label.copy()
    predicted[:, 0, 0] = [9, 1.04, -1]
    found = measure(predicted, label)
    assert found.fnorm == pytest.approx((1 + 0.04 + 2) / 3)
    assert found.zero_fnorm == pytest.approx(4)
    figures = [found.ewt_25, found.ewt_10, found.ewt_5]
    np.testing.assert_allclose(figures, [200 / 3, 100 / 3, 100 / 3])
    assert found.median_relative == pytest.approx(0.1)
    assert found.median_cosine == pytest.approx(1)
    low, high = found.fnorm_interval
    assert 0.04 <= low < found.fnorm < high <= 2
    blind = measure(predicted, label, up_to_sign=np.array([False, False, True]))
    assert blind.fnorm == pytest.approx(1.04 / 3)
