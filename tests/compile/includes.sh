#!/bin/sh
# includes.sh SOURCE_DIR - no source reaches into another folder by path: what a room may include is its target's business.
set -eu
cd "$1"
if grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+["<]([^">]*/)?\.\./' --include='*.[ch]' --include='*.def' \
    include trace server handlers cli examples tests; then
    echo "these include by way of ../"
    exit 1
fi
