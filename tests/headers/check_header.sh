#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Compiles a public header alone, and included twice. Arguments: compiler, language, standard,
# header or "all" (every .hpp), source's include directory, build's include directory.
set -u
compiler=$1 language=$2 standard=$3 header=$4 source_dir=$5 build_dir=$6
command -v "$compiler" >/dev/null || { echo "skipped: no $compiler"; exit 77; }

headers=$header
if [ "$header" = all ]; then
    headers=$(cd "$source_dir/basin" && echo *.hpp)
fi

status=0
for name in $headers; do
    use='extern int nothing_else;'
    [ "$name" = basin.h ] && use='basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT; basin_transfer transfer = BASIN_TRANSFER_INIT;'
    printf '#include <basin/%s>\n#include <basin/%s>\n%s\n' "$name" "$name" "$use" |
        "$compiler" -x "$language" -std="$standard" -Wall -Wextra -pedantic-errors -Werror \
            -I"$source_dir" -I"$build_dir" -fsyntax-only - || { echo "not clean: $name"; status=1; }
done
exit $status
