#!/bin/sh
# needed.sh LIBRARY ALLOWED.. - the libraries it pulls into a program, as the loader and ldd see them, are among those allowed.
set -eu
library=$1
shift
needed=$(readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
echo "needs: $needed"
[ -n "$needed" ]
for name in $needed; do
    case " $* " in
    *" $name "*) ;;
    *)
        echo "$name is not among: $*"
        exit 1
        ;;
    esac
done
