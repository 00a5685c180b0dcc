"""Tests of crystaltensor.workflows.ray_engine on a cluster of two nodes here."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

PROGRAM = """
import json, sys, threading, time
import ray
from ray.cluster_utils import Cluster
from crystaltensor.workflows import blocks, predict_many
from crystaltensor.workflows.predict_work import Settings
from crystaltensor.workflows.inputs import Inputs
from crystaltensor.workflows.sharding import Shard

if __name__ == "__main__":
    folder, output, lose = sys.argv[1], sys.argv[2], sys.argv[3] == "lose"
    blocks.BLOCK_RECORDS = 2
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    options = predict_many.Options(engine="ray", address=cluster.address)
    settings = Settings(("piezo",), device="cpu")
    n_reports = 0
    for report in predict_many.predict_into(
        output, Inputs((folder,), recursive=True), settings, options=options, shard=Shard()
    ):
        n_reports += 1
        if lose and n_reports == 3:
            cluster.remove_node(other, allow_graceful=False)
    print(json.dumps([report.counts.n_ok, report.counts.n_failed, report.ended]))
    cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["keep", "lose"])
def test_a_cluster_writes_what_one_process_writes(tmp_path: Path, fate: str) -> None:
    """Even if one of its two nodes is killed in the middle."""
    import structure_sets

    structure_sets.write_set(tmp_path / "in", 24, broken=1 / 3)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    found = tmp_path / "ray.jsonl"
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "in"), str(found), fate],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    alone = (
        "import sys; from crystaltensor.workflows import blocks; blocks.BLOCK_RECORDS = 2\n"
        "from crystaltensor.cli.main import main; main(sys.argv[1:])"
    )
    expected = tmp_path / "alone.jsonl"
    arguments = [str(tmp_path / "in"), "-r", "--property", "piezo", "-o", str(expected)]
    subprocess.run(
        [
            sys.executable,
            "-c",
            alone,
            "predict",
            *arguments,
            "--device",
            "cpu",
            "--workers",
            "1",
        ],
        capture_output=True,
        check=False,
    )
    assert found.read_bytes() == expected.read_bytes()
    errors = [Path(f"{path}.errors.jsonl").read_bytes() for path in (found, expected)]
    assert errors[0] == errors[1]
