#!/bin/sh
# Entrypoint of a container with a shell and the program /meminspect: the supervisor is
# process 1, reaps what the program leaves, passes signals on and ends as the program
# ends. The container's user must be able to write to $CORES.
exec /meminspect run --dir "${CORES:-/cores}" -- "$@"
