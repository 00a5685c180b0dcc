"""From weights and crystals to predictions."""
