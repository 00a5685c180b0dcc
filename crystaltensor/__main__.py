"""``python -m crystaltensor``."""

from crystaltensor.cli.main import main

main()
