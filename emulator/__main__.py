"""RunPod on one machine, from a configuration file.

python -m emulator --config emulator/demo.toml [--port 8000] [--api-key K]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from emulator import config
from emulator.config import Config, ConfigError, TryTable
from emulator.scaler import Scaler
from emulator.server import Emulator
from emulator.worker_process import ProcessLauncher

ANY_KEY = "emulator"

log = logging.getLogger("emulator")


def main() -> None:
    """Serve until SIGINT or SIGTERM.

    If the configuration or the port is wrong, say so in one line and exit with code 2.
    """
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        settings = config.read(arguments.config)
        emulator = Emulator(api_key=arguments.api_key, host=arguments.host, port=arguments.port)
    except ConfigError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"port {arguments.port}: {error.strerror}")
    else:
        asyncio.run(serve(emulator, settings, arguments.api_key or ANY_KEY, arguments.logs))


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
        help="where to listen; workers are trusted, so keep it out of strangers' reach",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one; default 8000")
    parser.add_argument("--api-key", help="the only valid key; without it any will do")
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


async def serve(emulator: Emulator, settings: Config, key: str, logs: Path) -> None:
    """Open the endpoints, start their workers, serve until a signal comes, end all workers.

    A second signal kills them.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, emulator, stop)
    for name, table in settings.endpoints.items():
        schedule = table.faults.schedule() if table.faults else None
        endpoint = emulator.add(name, settings.rules, schedule)
        if table.module is not None:
            environment = _filled_in(table.environment, key)
            launcher = ProcessLauncher(table.module, emulator.url, logs, environment)
            Scaler(endpoint, launcher, table.bounds)
    names = ", ".join(settings.endpoints)
    _say(f"emulator: {emulator.url}/v2 ({names}); the workers' output: {logs}")
    await emulator.run(_serve_until(stop, emulator, settings, key))


def _filled_in(environment: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value.replace("{api_key}", key) for name, value in environment.items()}


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
    """Wait until all workers that are always on are ready, then say how to send a job."""
    for name, table in settings.endpoints.items():
        while emulator.endpoints[name].workers.figures().ready < table.min_workers:
            await asyncio.sleep(0.2)
    _say("emulator: all workers are ready")
    if settings.attempt:
        _say(_attempt(emulator.url, settings.attempt, key))


def _attempt(url: str, attempt: TryTable, key: str) -> str:
    """Return the commands that send a recording to an endpoint."""
    body = (
        f"""printf '{{"input": {{"audio_base64": "'; base64 < {attempt.recording} """
        """| tr -d '\\n'; printf '"}}'"""
    )
    headers = f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
    return (
        f"Try it:\n\n  ({body}) |\n"
        f"    curl -s '{url}/v2/{attempt.endpoint}/runsync?wait=300000' "
        f"{headers} --data-binary @-\n"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
