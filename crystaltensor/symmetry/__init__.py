"""What the symmetry of a crystal allows its tensors to be."""
