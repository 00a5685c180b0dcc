"""Sums over a periodic lattice: cells, potentials, certified bounds; no atoms."""
