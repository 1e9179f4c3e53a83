"""RunPod on one machine: python -m emulator --config emulator/demo.toml [--port 8000] [--api-
key K]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from emulator import config
from emulator.config import Config, ConfigError
from emulator.scaler import Scaler
from emulator.server import Emulator
from emulator.worker_process import ProcessLauncher

ANY_KEY = "emulator"

log = logging.getLogger("emulator")


def main() -> None:
    """Serve until SIGINT or SIGTERM; exit code 2 with one line where the configuration or the port
    is wrong.
    """
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        asyncio.run(
            serve(
                config.read(arguments.config),
                arguments.host,
                arguments.port,
                arguments.api_key,
                arguments.logs,
            )
        )
    except ConfigError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"port {arguments.port}: {error.strerror}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description="RunPod on one machine, for development and tests."
    )
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="endpoints and their workers, see emulator/demo.toml",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen; workers are trusted, so nowhere that strangers reach",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one; default 8000")
    parser.add_argument("--api-key", help="the only key that is taken; without it any is")
    parser.add_argument(
        "--logs",
        type=Path,
        default=Path("demo-output/workers"),
        help="folder for what the workers print",
    )
    return parser.parse_args()


def _refuse(line: str) -> None:
    sys.stderr.write(f"emulator: {line}\n")
    sys.exit(2)


async def serve(settings: Config, host: str, port: int, api_key: str | None, logs: Path) -> None:
    """Open the endpoints, start their workers, serve until a signal comes, end all workers.

    A second signal kills them.
    """
    emulator = Emulator(api_key=api_key, host=host, port=port)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, emulator, stop)
    key = api_key or ANY_KEY
    for name, table in settings.endpoints.items():
        endpoint = emulator.add(
            name, settings.rules, table.faults.schedule() if table.faults else None
        )
        environment = {
            variable: value.replace("{api_key}", key)
            for variable, value in table.environment.items()
        }
        if table.module is not None:
            Scaler(
                endpoint,
                ProcessLauncher(table.module, emulator.url, logs, environment),
                table.bounds,
            )
    sys.stdout.write(
        f"emulator: {emulator.url}/v2 ({', '.join(settings.endpoints)}); the workers' output: "
        f"{logs}\n"
    )
    sys.stdout.flush()
    await emulator.run(_serve_until(stop, emulator, settings, key))


async def _serve_until(stop: asyncio.Event, emulator: Emulator, settings: Config, key: str) -> None:
    greeting = asyncio.ensure_future(_greet(emulator, settings, key))
    await stop.wait()
    greeting.cancel()
    log.info("ending the workers; once more to kill them")


def _stop(emulator: Emulator, stop: asyncio.Event) -> None:
    if stop.is_set():
        for endpoint in emulator.endpoints.values():
            for worker in endpoint.workers.present():
                endpoint.kill(worker.id)
    stop.set()


async def _greet(emulator: Emulator, settings: Config, key: str) -> None:
    """When all workers that are always on are ready, say how to send a job."""
    for name, table in settings.endpoints.items():
        while emulator.endpoints[name].workers.figures().ready < table.min_workers:
            await asyncio.sleep(0.2)
    sys.stdout.write("emulator: all workers are ready\n")
    if settings.attempt:
        recording = settings.attempt.recording
        sys.stdout.write(
            "Try it:\n\n  (printf "
            f'\'{{"input": {{"audio_base64": "\'; base64 < {recording} | tr -d \'\\n\'; '
            "printf '\"}}') "
            "|\n"
            f"    curl -s '{emulator.url}/v2/{settings.attempt.endpoint}/runsync?wait=300000' "
            f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' --data-binary "
            "@-\n\n"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
