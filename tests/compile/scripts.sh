#!/bin/sh
# scripts.sh SOURCE_DIR - shellcheck has no remark about any shell script of the tree.
set -eu
command -v shellcheck >/dev/null || {
    echo "skipped: no shellcheck"
    exit 77
}
cd "$1"
find . \( -name build -o -name node_modules -o -name .git \) -prune -o -name '*.sh' -print0 | xargs -0 shellcheck dev .ci/run
