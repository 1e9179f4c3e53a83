"""OpenAI's transcription API on this machine: python -m handlers.openai

[--host 127.0.0.1] [--port 8000]
"""

from __future__ import annotations

import argparse
import logging
import sys

from core.errors import WorkerError
from core.settings import Settings
from handlers import logs
from handlers.openai.serving import listen, serve
from handlers.openai.settings import ServerSettings

log = logging.getLogger("parakeet.server")


def main() -> None:
    """Serve until SIGTERM; a wrong setting ends in one line and exit code 1."""
    arguments = _parse()
    try:
        settings, server = Settings.from_environment(), ServerSettings.from_environment()
        logs.configure(settings.log_format)
        for library in ("httpx2", "stamina", "python_multipart"):
            logging.getLogger(library).setLevel(logging.ERROR)
        server.check_host(arguments.host)
        port = server.port if arguments.port is None else arguments.port
        listening = listen(arguments.host, port)
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    host, port = listening.getsockname()[:2]
    log.info("listening at http://%s:%s", f"[{host}]" if ":" in host else host, port)
    sys.exit(serve(settings, server, listening))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m handlers.openai",
        description="Serve OpenAI's transcription API; docs/OPENAI.md has the settings.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 needs a key")
    parser.add_argument("--port", type=int, help="default: PORT, else 8000")
    return parser.parse_args()


if __name__ == "__main__":
    main()
