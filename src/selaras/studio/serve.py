"""Running the studio: uvicorn on an address, one process."""

from pathlib import Path

from selaras.core.errors import InputError, MissingExtraError
from selaras.core.loopback import App


def serve(app: App, host: str, port: int, *, certificate: Path | None = None,
          key: Path | None = None) -> None:  # fmt: skip
    """Serve until interrupted; raises InputError where the address cannot be listened on."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("uvicorn", "studio") from error
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, ssl_certfile=certificate, ssl_keyfile=key, timeout_keep_alive=30,
    )  # fmt: skip
    try:
        uvicorn.Server(config).run()
    except SystemExit as error:
        raise InputError(
            f"cannot listen on {host}:{port}", fix="choose another --port or --host"
        ) from error
