#!/bin/sh
# cron for a container: runs may overlap, and SIGTERM lets each finish the window in flight.
trap 'trap "" TERM; kill -TERM 0; wait; exit 0' TERM
while :; do
    newsletter run --due &
    sleep "${EVERY_SECONDS:-300}" &
    wait $!
done
