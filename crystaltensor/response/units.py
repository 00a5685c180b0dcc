"""Conversion factors, each with its source."""

E_PER_A2_IN_C_PER_M2 = 16.02176634
"""1 e/Å² in C/m²; e = 1.602176634e-19 C is exact in the SI of 2019."""

EV_PER_A3_IN_GPA = 160.2176634
"""1 eV/Å³ in GPa; the eV is exact in the SI of 2019."""

VACUUM_PERMITTIVITY = 8.8541878188e-12 / 1.602176634e-19 * 1e-10
"""ε₀ in e/(V Å); CODATA 2022."""
