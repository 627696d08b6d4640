"""Entry point of `python -m echo_node`, which equals `echo-node`."""

from echo_node.cli import main

main()
