"""``crystaltensor merge``."""

import click

_BESIDE = (".errors.jsonl", ".run.json", ".journal", ".lock", ".part")


@click.command(
    epilog="Example: crystaltensor merge out.jsonl out.shard-*-of-0016.jsonl"
)
@click.argument("output", type=click.Path())
@click.argument("shards", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--overwrite", is_flag=True, help="Replace an output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def merge(output: str, shards: tuple[str, ...], overwrite: bool, as_json: bool) -> None:
    """Join the outputs of all SHARDS of a run to OUTPUT.

    It is then the output, byte by byte, of a run that was not cut into shards. A shard
    that is missing, there twice, not complete, or of another run is refused. What lies
    beside the shards, as OUT.errors.jsonl, is found by itself.
    """
    from crystaltensor.cli._render import as_json_line
    from crystaltensor.workflows.merge import merge as join

    # A pattern of a shell may catch what lies beside them.
    parts = [shard for shard in shards if not shard.endswith(_BESIDE)]
    counts = join(output, parts, overwrite=overwrite)
    if as_json:
        as_json_line(
            {
                "schema": 1,
                "output": output,
                "n_shards": len(parts),
                "n_ok": counts.n_ok,
                "n_failed": counts.n_failed,
            }
        )
        return
    click.echo(
        f"{len(parts)} shards joined to {output}: {counts.n_ok} predicted, "
        f"{counts.n_failed} failed"
    )
