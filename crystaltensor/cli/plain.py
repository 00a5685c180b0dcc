"""Training where nothing but torch, e3nn and numpy is installed, as on a bare GPU node.

``crystaltensor train CONFIG --out DIR --prepare-only`` prepares the data elsewhere; with
that folder, ``python -m crystaltensor.cli.plain CONFIG --out DIR`` trains here, and
``crystaltensor train CONFIG --out DIR --resume`` elsewhere writes the model.
"""

import argparse
import sys
from pathlib import Path

from crystaltensor.errors import CrystalTensorError
from crystaltensor.training.config import read_config
from crystaltensor.workflows.train import train


def main() -> None:
    """Train as the command line says; a run in the folder is resumed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    given = parser.parse_args()
    try:
        events = train(
            read_config(given.config),
            given.out,
            base=given.config.parent,
            device=given.device,
            resume=True,
        )
        for event in events:
            sys.stderr.write(f"{event}\n")
    except CrystalTensorError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
