#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Feeds the golden inputs to libvirt's test driver and compares what it prints with ours.

usage: compare_with_libvirt.py XML-TOOL

Byte for byte, but for the known differences below. Exit code 77: virsh is not installed.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import uuid as uuid_module

HERE = pathlib.Path(__file__).parent
URI = "test:///default"
# The test driver shows every pool with these numbers.
SIZES = ["107374182400", "0", "107374182400"]

# file: why our output differs from libvirt's on purpose, or what the test driver cannot do
KNOWN = {
    "pools/dir-full": "an id above 2^31 - 1 is printed unsigned; libvirt prints -2, which it refuses to read",
    "pools/dir-vendor": "white space in an attribute is printed by number; libvirt's output loses it when read again",
    "pools/fs-full": "the test driver loads no backend, and so no namespace",
    "pools/netfs-other-prefix": "the test driver loads no backend, and so no namespace",
    "pools/rbd-full": "the test driver loads no backend, and so no namespace",
    "pools/irrelevant-auth": "auth, protocol and refresh are dropped where the pool type has no use for them",
    "volumes/dir.create.compat-only": "version 3 of qcow2 always shows <features/>, as libvirt does for existing images",
    "volumes/dir.create.data-file": "<refcountBits> and <dataFile> are basin's own",
    "volumes/dir.create.encryption-luks-any": "libvirt 9.0 does not know luks-any yet",
    "volumes/dir.create.nocow": "nocow is kept; libvirt drops it",
}


def run(command, **arguments):
    return subprocess.run(command, capture_output=True, text=True, check=False, **arguments)


def ours(tool, arguments, text):
    result = run([tool, *arguments], input=text)
    return result.stdout if result.returncode == 0 else "ours: " + result.stderr


def virsh(commands):
    result = run(["virsh", "-q", "-c", URI, "; ".join(commands)])
    return result.stdout.strip("\n") + "\n" if result.returncode == 0 else "libvirt: " + result.stderr


def pool_of(tool, path):
    text = path.read_text()
    uuid = str(uuid_module.UUID(re.search(r"<uuid>(.*?)</uuid>", text).group(1)))
    theirs = virsh([f"pool-define {path}", f"pool-dumpxml {uuid}"])
    return ours(tool, ["pool", *SIZES], text), theirs


SOURCES = {
    "dir": "<target><path>/p</path></target>",
    "disk": "<source><device path='/dev/sda'/></source><target><path>/p</path></target>",
    "rbd": "<source><host name='h'/><name>n</name></source>",
    "sheepdog": "<source><host name='h'/><name>n</name></source>",
    "gluster": "<source><host name='h'/><name>n</name></source>",
}


def volume_of(tool, path, directory):
    """libvirt chooses type, key and path; what is left is the same."""
    pool_type, purpose, _ = path.stem.split(".", 2)
    pool = directory / "pool.xml"
    pool.write_text(f"<pool type='{pool_type}'><name>P</name>{SOURCES.get(pool_type, '')}</pool>")
    name = re.search(r"<name>(.*?)</name>", path.read_text()).group(1)
    for entity, character in (("&quot;", '"'), ("&amp;", "&")):
        name = name.replace(entity, character)
    quoted = "'" + name + "'"
    theirs = virsh([f"pool-define {pool}", "pool-start P", f"vol-create P {path}", f"vol-dumpxml --pool P {quoted}"])
    printed = ours(tool, ["volume", pool_type, purpose], path.read_text())
    return printed, re.sub(r"<volume type='[a-z]*'>", "<volume>", re.sub(r"  <key>.*</key>\n|  <physical.*\n", "", re.sub(r"(<target>\n)    <path>.*\n", r"\1", theirs)))


def main():
    if not shutil.which("virsh"):
        print("skipped: virsh is not installed (libvirt-clients)")
        return 77
    tool = sys.argv[1]
    failed = 0
    same = 0
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        cases = [(path, *pool_of(tool, path)) for path in sorted(HERE.glob("pools/*.xml"))]
        cases += [(path, *volume_of(tool, path, directory)) for path in sorted(HERE.glob("volumes/*.create.*.xml"))
                  if "unit-large" not in path.name]
        for path, mine, theirs in cases:
            key = str(path.relative_to(HERE).with_suffix(""))
            if (mine == theirs) == (key not in KNOWN):
                same += mine == theirs
                continue
            failed += 1
            if mine == theirs:
                print(f"{key}: listed as a known difference, but equal")
            else:
                print(f"{key}: different\n--- ours\n{mine}--- libvirt\n{theirs}")
    print(f"{len(cases)} inputs: {same} equal, {len(KNOWN)} known differences, {failed} failures")
    return 1 if failed else 0


sys.exit(main())
