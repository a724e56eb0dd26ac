"""`python -m engramctl` is `engramctl`."""

from engramctl.cli import main

main()
