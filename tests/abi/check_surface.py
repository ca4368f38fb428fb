# SPDX-License-Identifier: LGPL-2.1-or-later
"""The C surface is one thing: header = map = library = documented = called by a test = README.

Usage: check_surface.py SOURCE_ROOT LIBRARY
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

NODE = "BASIN_0.1"
CXX_NODE = "BASIN_CXX_0.1"
problems = []


def expect_same(what, expected, found):
    """Two sets of names have to be equal."""
    problems.extend("%s: lacks %s" % (what, name) for name in sorted(expected - found))
    problems.extend("%s: has the unknown %s" % (what, name) for name in sorted(found - expected))


def declarations(header):
    """Yields the comment, result, name and parameters of each function."""
    pattern = r"(?:/\*\*((?:[^*]|\*(?!/))*)\*/\s*)?BASIN_API\s+([^;()]*?)\b(basin_\w+)\(([^;]*)\);"
    for match in re.finditer(pattern, header):
        comment, result, name, parameters = match.groups()
        yield comment or "", " ".join(result.split()), name, [" ".join(p.split()) for p in parameters.split(",")]


def check_documentation(name, comment, result, parameters):
    """What basin.h promises to say about each function."""
    for tag in ("@note", "@since 0.1"):
        if tag not in comment:
            problems.append("basin.h: %s: no %s" % (name, tag))
    if not re.search(r"@note [^@]*(Blocks|Does not block)", comment):
        problems.append("basin.h: %s: does not say whether it blocks" % name)
    if parameters[0].startswith("basin_volume*") and "@note Blocks on the disk" in comment:
        problems.append("basin.h: %s: asks the storage, not only basin's own files" % name)
    if not re.search(r"@note [^@]*(Thread-safe|[Nn]ot while|Only in)", comment):
        problems.append("basin.h: %s: says nothing about threads" % name)
    if "basin_error** error" not in parameters[-1]:
        return
    if any("**" in parameter for parameter in parameters[:-1]) and "freed with basin_" not in comment:
        problems.append("basin.h: %s: does not say how its result is freed" % name)
    if result != "int" or "@return" not in comment:
        problems.append("basin.h: %s: does not document the codes that it returns" % name)
    names = [re.search(r"(\w+)$", parameter).group(1) for parameter in parameters]
    if "flags" not in names:
        problems.append("basin.h: %s: takes no flags" % name)
    elif name != "basin_secret_reply_set" and "@param flags" not in comment:
        problems.append("basin.h: %s: does not document its flags" % name)
    outputs = [n for n, p in zip(names, parameters) if re.search(r"\*\*\*? \w+$|^(int|uint64_t|size_t)\* ", p)]
    inputs = [n for n in names if n not in outputs and n not in ("flags", "job", "error")]
    if name == "basin_job_new" or name.startswith("basin_job_"):
        return  # the subject is called job there
    expected = inputs + ["flags"] + [n for n in names if n == "job"] + [n for n in outputs if n != "error"] + ["error"]
    if names != expected:
        problems.append("basin.h: %s: the order is %s, not %s" % (name, names, expected))


def exported(library):
    """The library's exported symbols, by version node."""
    text = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    nodes = {}
    for line in text.splitlines():
        name, _, version = line.split()[-1].partition("@")
        if name in (NODE, CXX_NODE):
            continue  # the node itself
        nodes.setdefault(version.lstrip("@"), set()).add(name)
    return nodes


def check_cxx(names):
    """The C++ node holds the public namespace and nothing of its inside."""
    text = subprocess.run(["c++filt"], input="\n".join(sorted(names)), check=True, stdout=subprocess.PIPE,
                          universal_newlines=True).stdout
    for name in text.splitlines():
        if not re.match(r"(typeinfo( name)? for |vtable for )?storage::v1::", name):
            problems.append("%s: exports %s" % (CXX_NODE, name))
        if "::Impl::" in name or "::Access::" in name:
            problems.append("%s: exports the inside: %s" % (CXX_NODE, name))


def check_readme(readme, header):
    """Every name in the tables exists, and every function of libvirt has an answer."""
    for name in set(re.findall(r"`(basin_\w+|BASIN_[\w.]+)", readme)):
        if name not in (CXX_NODE, NODE) and not re.search(r"\b%s\b" % name, header):
            problems.append("capi/README.md: %s is not in basin.h" % name)
    rows = re.findall(r"^\| (vir\w+) \|([^|]*)\|(.*)\|$", readme, re.MULTILINE)
    for function, answer, remark in rows:
        if not answer.strip() or answer.strip() == "none" and not remark.strip():
            problems.append("capi/README.md: %s has no answer" % function)
    if len(rows) < 50:
        problems.append("capi/README.md: only %d functions of libvirt" % len(rows))


def main():
    """Compares everything with the header."""
    if not shutil.which("nm") or not shutil.which("c++filt"):
        print("skipped: no nm or c++filt")
        return 77
    root, library = Path(sys.argv[1]), sys.argv[2]
    header = (root / "include/basin/basin.h").read_text()
    found = list(declarations(header))
    names = {name for _, _, name, _ in found}
    for comment, result, name, parameters in found:
        check_documentation(name, comment, result, parameters)

    node = re.search(NODE.replace(".", r"\.") + r" \{(.*?)\n\};", (root / "capi/basin.map").read_text(), re.DOTALL)
    listed = re.findall(r"^    (\w+);$", node.group(1), re.MULTILINE)
    expect_same("basin.map", names, set(listed))
    if listed != sorted(listed):
        problems.append("basin.map: is not sorted")

    nodes = exported(library)
    expect_same("library", names, nodes.pop(NODE, set()))
    check_cxx(nodes.pop(CXX_NODE, set()))
    problems.extend("library: %s without a node" % name for node in nodes for name in nodes[node])

    tests = "".join(path.read_text() for path in (root / "tests/capi").glob("*.c"))
    expect_same("tests/capi", names, {name for name in names if re.search(r"\b%s\(" % name, tests)})
    check_readme((root / "capi/README.md").read_text(), header)

    print("\n".join(problems) or "%d functions: header, map, library, documentation, tests and README agree" % len(names))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
