#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs into a temporary directory and builds the C example as strangers do: pkg-config with the
# shared and the static library, and CMake. Arguments: build directory, source directory, prefix, sanitizer.
set -eu
build=$1 source=$2 prefix=$3 sanitizer=$4
[ "$sanitizer" = none ] || { echo "skipped: a program without $sanitizer cannot load the library"; exit 77; }
for tool in meson pkg-config cc; do
    command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
work=$(mktemp -d /tmp/basin-install-XXXXXX)
trap 'rm -rf "$work"' EXIT
meson install -C "$build" --no-rebuild --destdir "$work" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
root=$work$prefix
libdir=$(dirname "$(find "$root" -name libbasin.so.0)")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
flags() { pkg-config --define-variable=prefix="$root" "$@" basin; }

echo "shared library through pkg-config"
cc "$source/examples/c/lifecycle.c" -o "$work/shared" $(flags --cflags --libs)
LD_LIBRARY_PATH=$libdir "$work/shared" "$work/a"

if [ -e "$libdir/libbasin.a" ]; then
    echo "static library through pkg-config"
    mkdir "$work/static-only"
    cp "$libdir/libbasin.a" "$work/static-only"
    cc "$source/examples/c/lifecycle.c" -o "$work/static" $(flags --cflags) -L"$work/static-only" $(flags --static --libs)
    "$work/static" "$work/b"
fi

command -v cmake >/dev/null || { echo "no cmake: its package was not tried"; exit 0; }
echo "find_package(Basin)"
mkdir "$work/cmake"
cat >"$work/cmake/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(example C CXX)
find_package(Basin 0.1 REQUIRED)
add_executable(example "$source/examples/c/lifecycle.c")
target_link_libraries(example Basin::basin)
add_executable(example_cpp "$source/examples/cpp/lifecycle.cpp")
set_target_properties(example_cpp PROPERTIES CXX_STANDARD 20)
target_link_libraries(example_cpp Basin::basin)
END
cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$root" >"$work/log" 2>&1 &&
    cmake --build "$work/cmake/build" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/cmake/build/example" "$work/c"
"$work/cmake/build/example_cpp" "$work/d"
