"""Run many commands in copies of one process that has imported what they need.

Commands then take a tenth of a second in place of seconds. What they do is what they do
without: ``crystaltensor`` on the PATH passes arguments, folder and streams on.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COLUMNS = "84"
WARM = (
    "torch",
    "crystaltensor.cli._render_prediction",
    "crystaltensor.cli._render_symmetrize",
    "crystaltensor.crystals.io",
    "crystaltensor.inference.predictor",
    "crystaltensor.lattice.sums",
    "crystaltensor.workflows.train",
)


def environment(server: Path | None) -> dict[str, str]:
    """Return the variables that commands run with."""
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    if server is not None:
        paths.insert(0, str(server.parent))
    return {
        **os.environ,
        "PATH": os.pathsep.join(paths),
        "COLUMNS": COLUMNS,
        "NO_COLOR": "1",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def warm_server() -> Iterator[Path]:
    """Keep a process with everything imported, which forks for every command.

    Yields
    ------
    Path
        The socket of the server.

    Raises
    ------
    RuntimeError
        If it does not start.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "socket"
        shim = folder / "crystaltensor"
        shim.write_text(
            f"#!{sys.executable} -S\nimport sys\n"
            f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from warm import Path, ask, os\n"
            "sys.exit(ask(Path(__file__).with_name('socket'), {'arguments': "
            "sys.argv[1:], 'cwd': os.getcwd(), 'environment': dict(os.environ)}))\n"
        )
        shim.chmod(0o755)
        command = [sys.executable, "-u", str(Path(__file__)), str(path)]
        with subprocess.Popen(
            command, env=environment(None), stdout=subprocess.PIPE, text=True
        ) as process:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("the warm process does not start")
            try:
                yield path
            finally:
                process.terminate()


def ask(
    server: Path,
    request: dict[str, object],
    streams: tuple[int, int, int] = (0, 1, 2),
    *,
    close: int | None = None,
) -> int:
    """Have a command run by the server, on these streams; return its exit code."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server))
        message = json.dumps(request).encode()
        socket.send_fds(client, [len(message).to_bytes(8, "big")], list(streams))
        client.sendall(message)
        if close is not None:
            os.close(close)
        answer = client.recv(1)
    return answer[0] if answer else 255


def serve(path: Path) -> None:
    """Import what commands need, then fork for every request."""
    for name in WARM:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            client, _ = listener.accept()
            with client:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listener.close()
                    _answer(client)


def _answer(client: socket.socket) -> None:
    """Run one command, in a process of its own, and end it."""
    head, streams, _, _ = socket.recv_fds(client, 8, 3)
    request = json.loads(_receive(client, int.from_bytes(head, "big")))
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.environ.update(request.get("environment", environment(None)))
    os.chdir(request["cwd"])
    for name, target in (("stdout", 1), ("stderr", 2)):
        stream = open(target, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    code = 1
    try:
        code = _execute(request)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        client.sendall(bytes([code]))
        os._exit(code)


def _receive(client: socket.socket, size: int) -> bytes:
    """Read a message of known size."""
    message = b""
    while len(message) < size:
        message += client.recv(size - len(message))
    return message


def _execute(request: dict[str, object]) -> int:
    """Run a command line or a program."""
    from crystaltensor.cli.main import main

    try:
        if "python" in request:
            program = compile(str(request["python"]), "snippet.py", "exec")
            exec(program, {"__name__": "__main__"})  # noqa: S102
            return 0
        main(request["arguments"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it is, the server lives on
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
