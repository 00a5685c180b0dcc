"""Measure what the tool is worth: its errors, its symmetry, its sums and its speed."""
