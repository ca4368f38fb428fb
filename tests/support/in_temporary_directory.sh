#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a program with a new directory as its last argument, and removes the directory.
set -u
directory=$(mktemp -d /tmp/basin-test-XXXXXX) || exit 99
"$@" "$directory"
status=$?
rm -rf "$directory"
exit $status
