"""What a potential does not know, learned from labels."""

import numpy as np
import pytest

from crystaltensor.errors import ModelError
from crystaltensor.response.correction import (
    Correction,
    find_correction,
    load_correction,
)
from crystaltensor.response.fitting import Case, FitSettings, fit, fit_error

SETTINGS = FitSettings(members=2, hidden=16, dropout=0.0, epochs=150, weight_decay=0.0)


def cases(n: int, *, seed: int, blind: bool = False) -> list[Case]:
    """Draw crystals whose tensor is known combinations of two parts."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        features, parts = rng.normal(size=4), rng.normal(size=(2, 3, 3, 3))
        weight = 1.0 + 0.5 * np.tanh(features[0])
        label = weight * parts[0] - 0.4 * parts[1]
        if blind and rng.random() < 0.5:
            label = -label
        labels = np.stack([label, -label]) if blind else label[None]
        made.append(Case(features, parts, labels))
    return made


def errors(correction: Correction, many: list[Case]) -> float:
    """Mean distance to the nearest label."""
    apart = []
    for case in many:
        weights = correction.weigh(case.features).mean(axis=0)
        found = np.einsum("p,p...->...", weights, case.parts)
        apart.append(np.sqrt(np.square(case.labels - found).sum(axis=(1, 2, 3)).min()))
    return float(np.mean(apart))


@pytest.mark.parametrize("blind", [False, True])
def test_weights_that_depend_on_features_are_learned(*, blind: bool) -> None:
    """Even if half of the labels have the other sign, as conventions make them."""
    arrays = fit(cases(200, seed=0, blind=blind), SETTINGS)
    learned = Correction("test", (0.3, 3.0), arrays, {})
    held_out = cases(50, seed=1, blind=blind)
    plain = float(np.mean([np.linalg.norm(c.parts[0] - c.labels[0]) for c in held_out]))
    assert errors(learned, held_out) < 0.2 * plain


def test_an_expected_error_holds_the_share_it_promises() -> None:
    """And it is smaller where the crystal is harder."""
    rng = np.random.default_rng(0)
    sizes, soft = rng.uniform(0, 5, 400), rng.uniform(0, 2, 400)
    made = np.abs(rng.normal(size=400)) * np.hypot(0.1, soft)
    fitted = fit_error(sizes, soft, made)
    sigma = np.sqrt(
        fitted["absolute"] ** 2
        + (fitted["relative"] * sizes) ** 2
        + (fitted["softness"] * soft) ** 2
    )
    assert np.mean(made < sigma) == pytest.approx(0.68, abs=0.01)
    assert fitted["softness"] > 0.5


def test_an_unknown_potential_has_no_learned_part() -> None:
    """Nor has a path, which might lead anywhere."""
    assert find_correction("piezo", "module:callable") is None
    assert find_correction("piezo", "mace:../../piezo") is None


def test_a_damaged_model_is_told(tmp_path) -> None:  # noqa: ANN001 - pytest's path
    """In one line that names its folder."""
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    (tmp_path / "record.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="not a complete model"):
        load_correction(tmp_path, "piezo")
