"""`python -m agent` is the program `hca-agent`."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    import logging

    from agent.environment import write_no_keys

    write_no_keys()
    # A place of the log that fails (a full disk, a closed terminal) is no reason for a traceback.
    logging.raiseExceptions = False
    # Loaded late: only the process that is the program composes all the rooms.
    from agent.cli.program import main as run_program

    run_program()


if __name__ == "__main__":
    main()
