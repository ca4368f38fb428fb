#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Compares the C ABI of a library with the committed baseline, libbasin.abi (x86-64, abigail-tools).
# Usage: check_abi.sh [--refresh] LIBRARY [SANITIZER]; --refresh writes the baseline instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
refresh=no
if [ "$1" = --refresh ]; then
    refresh=yes
    shift
fi
library=$1

skip() { echo "skipped: $1"; exit 77; }
[ "$(uname -m)" = x86_64 ] || skip "the baseline is for x86-64"
[ "${2:-none}" = none ] || skip "sanitizers change the library"
command -v abidw >/dev/null && command -v abidiff >/dev/null || skip "no abidw and abidiff (abigail-tools)"
readelf -S "$library" | grep -q debug_info || skip "the library has no debugging information"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What basin.h defines is public; the handles that capi/ defines are not.
mkdir "$work/public"
cp "$here/../../include/basin/basin.h" "$work/public"
abidw --suppressions "$here/cxx.suppr" --headers-dir "$work/public" --drop-private-types \
    --exported-interfaces-only --no-elf-needed --no-show-locs --no-corpus-path --no-comp-dir-path --type-id-style hash \
    --out-file "$work/libbasin.abi" "$library"

if [ $refresh = yes ]; then
    cp "$work/libbasin.abi" "$here/libbasin.abi"
    echo "wrote $here/libbasin.abi"
else
    abidiff "$here/libbasin.abi" "$work/libbasin.abi" && echo "the C ABI is that of libbasin.abi"
fi
