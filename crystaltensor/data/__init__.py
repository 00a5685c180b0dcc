"""From crystals and labels to batches."""
