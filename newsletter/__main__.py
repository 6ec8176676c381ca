"""The command `newsletter`: wires the doors, which do not know each other."""

from __future__ import annotations

from newsletter.cli.app import group
from newsletter.cli.serving import serve_command
from newsletter.demo.command import demo
from newsletter.web.app import create_app
from newsletter.worker.command import worker
from newsletter.worker.loop import sending_beside

for command in (demo, serve_command(create_app, sending_beside), worker):
    group.add_command(command)


def main() -> None:
    """Run the command that the arguments name."""
    group(prog_name="newsletter")


if __name__ == "__main__":
    main()
