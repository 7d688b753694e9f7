#!/bin/sh
# entrypoint.sh - serve the example service to whoever publishes the port, and to nobody without the token.
#
# A container's port is not loopback, so the endpoint asks for a bearer token. One is made at each start and printed as part of
# the viewer's address: after the #, which browsers do not send. TRACETAP_TOKEN_FILE names one of your own instead (owner-readable only).
set -eu
umask 077

if [ -z "${TRACETAP_TOKEN_FILE:-}" ]; then
    TRACETAP_TOKEN_FILE=$(mktemp)
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$TRACETAP_TOKEN_FILE"
    echo "Open http://localhost:${TRACETAP_PUBLISHED_PORT:-6060}/#token=$(cat "$TRACETAP_TOKEN_FILE")"
fi
exec pipeline --listen 0.0.0.0:6060 --token-file "$TRACETAP_TOKEN_FILE" "$@"
