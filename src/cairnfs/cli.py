"""The ``cairn`` command: each verb is imported only when it is called.

``cairn fs`` and ``cairn shell`` take Hadoop's own flags and are handed over unparsed.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``sys.argv`` and exit with its code; a failure is one sentence on stderr (D03)."""
    arguments = sys.argv[1:]
    try:
        code = _dispatch(arguments)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone; that is no error of ours (cairn fs -cat | head).
        sys.stderr.close()
        code = 141
    sys.exit(code)


def _dispatch(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else ""
    # `cairn fs -ls /` must answer in a tenth of a second: no click, no servers.
    if verb == "fs":
        from cairnfs.shell.fs import main as fs_main

        return fs_main(arguments[1:])
    if verb == "shell":
        from cairnfs.shell.interactive import main as shell_main

        return shell_main(arguments[1:])
    from cairnfs.cluster.commands import run

    return run(arguments)


if __name__ == "__main__":
    main()
