"""End with a sentence when nothing can listen on the port that `make run` is to serve on."""

import sys

from leyden.cli.address import LAST_PORT, AddressError, AddressTakenError, listen


def main(text: str) -> None:
    if not (text.isascii() and text.isdigit() and int(text) <= LAST_PORT):
        sys.exit(f"Error: PORT={text} is no port. Give a number up to {LAST_PORT}: PORT=8080 make run.")
    port = int(text)
    try:
        listen("127.0.0.1", port).close()
    except AddressTakenError:
        sys.exit(
            f"Error: Port {port} is taken. Stop what listens there, or take another: PORT={port % LAST_PORT + 1} make run."
        )
    except AddressError as error:
        sys.exit(f"Error: {error.__cause__} on port {port}. Take another: PORT=8080 make run.")


if __name__ == "__main__":
    main(sys.argv[1])
