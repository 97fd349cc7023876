#!/bin/sh
# Entrypoint of a container: the supervisor is process 1, reaps what the program
# leaves, passes signals on and ends as the program ends.
exec meminspect run --dir "${CORES:-/cores}" -- "$@"
