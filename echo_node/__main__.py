"""`python -m echo_node` is `echo-node`."""

from echo_node.cli import main

main()
