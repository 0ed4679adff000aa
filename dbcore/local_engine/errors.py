"""What can go wrong with the local engine, each error saying what to do next.

No message may be left as a bare exit code or errno: the reader has just cloned the project.
"""

from __future__ import annotations

from pathlib import Path

from dbcore.errors import DbcoreError
from dbcore.local_engine.listeners import who_listens


class EngineError(DbcoreError):
    """The local DynamoDB engine cannot be used."""

    names_records = False


class EngineMissingError(EngineError):
    """No engine of the wanted kind is installed."""

    @classmethod
    def dynoxide(cls, searched: list[str]) -> EngineMissingError:
        return cls(
            "The local DynamoDB engine (dynoxide) is not installed. Looked at: "
            f"{', '.join(searched)}. Run `npm install` in the project folder (`make setup` does "
            "it), or set DYNAMODB_ENGINE=moto to use moto's server, which keeps data in memory "
            "only."
        )

    @classmethod
    def override(cls, path: str) -> EngineMissingError:
        return cls(
            f"DYNOXIDE_BINARY names {path}, which is not a file that can be run. Correct it, or "
            "leave it empty to use the binary that `npm install` puts into node_modules."
        )

    @classmethod
    def moto(cls) -> EngineMissingError:
        return cls(
            "DYNAMODB_ENGINE=moto needs moto's server: `pip install 'moto[server,dynamodb]'`. "
            "Or run `npm install` (`make setup` does it) and use dynoxide."
        )

    @classmethod
    def unknown(cls, kind: str) -> EngineMissingError:
        return cls(f"DYNAMODB_ENGINE is {kind!r}; it can be auto, dynoxide or moto.")


class PortTakenError(EngineError):
    """Another program listens on the port that was asked for."""

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        super().__init__(
            f"Port {port} on {host} is taken by {who_listens(port)}. End that, or choose another "
            "port: LOCAL_DYNAMODB_PORT (0 = any free port), or "
            "`./manage.py local_dynamodb --port N`."
        )


class EngineCrashedError(EngineError):
    """The engine ended before it was ready."""

    def __init__(self, kind: str, code: int, output: str) -> None:
        self.code = code
        self.output = output
        said = f"It said:\n{output}" if output else "It said nothing."
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        super().__init__(f"The local engine ({kind}) ended at its start with {how}. {said}")


class EngineNotReadyError(EngineError):
    """The engine runs but gives no answer."""

    def __init__(self, kind: str, endpoint: str, seconds: float, output: str) -> None:
        said = f" Its output so far:\n{output}" if output else ""
        super().__init__(
            f"The local engine ({kind}) gave no answer at {endpoint} within {seconds:g} seconds."
            f"{said}"
        )


class EngineInUseError(EngineError):
    """The shared engine runs, so what was asked for would pull it from under somebody."""


class SharedEngineUnsupportedError(EngineError):
    """This system has no file locks of the kind that sharing needs."""

    def __init__(self) -> None:
        super().__init__(
            "DYNAMODB_ENDPOINT=local needs POSIX file locks, which Windows does not have. Use WSL, "
            "or run `dynoxide serve --port 8000 --db-path FILE` and set "
            "DYNAMODB_ENDPOINT=http://127.0.0.1:8000."
        )


def locked_too_long(path: Path, seconds: float) -> EngineError:
    return EngineError(
        f"Another command has been starting or stopping the local engine for {seconds:g} seconds "
        f"(it holds {path}). Is a `manage.py` process suspended or hanging?"
    )
