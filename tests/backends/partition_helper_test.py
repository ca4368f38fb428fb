#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The helper basin-partition on image files and, as root, on loop devices. TAP on stdout.

sfdisk and parted are the oracles: what the helper wrote is what they read, and the other way round.
usage: partition_helper_test.py HELPER [CASE...]
"""
import ctypes
import fcntl
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import traceback

MIB = 1 << 20
HELPER = sys.argv[1]
GPT_TYPES = {"linux": "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "linux-lvm": "E6D6D379-F507-44C2-A23C-238F2A3DF928",
             "linux-raid": "A19D880F-05FC-4D3B-A006-743F0F84911E", "linux-swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
             "fat16": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "fat32": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
             "none": "0FC63DAF-8483-4772-8E79-3D69D8477DE4"}
DOS_TYPES = {"linux": "83", "linux-lvm": "8e", "linux-raid": "fd", "linux-swap": "82", "fat16": "e", "fat32": "c",
             "none": "83", "extended": "f"}


class Skip(Exception):
    pass


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def raw(text):
    """What the helper answers to any text; it must not break."""
    done = subprocess.run([HELPER], input=text, capture_output=True, timeout=60)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr}"
    assert done.stderr == b"", done.stderr
    return json.loads(done.stdout)


def ask(operation, device, **members):
    answer = raw(json.dumps({"operation": operation, "device": device, **members}).encode())
    assert "error" not in answer, answer
    return answer


def refused(code, operation, device, **members):
    answer = raw(json.dumps({"operation": operation, "device": device, **members}).encode())
    assert "error" in answer, f"{operation} {members} was not refused: {answer}"
    assert answer["error"]["code"] == code, answer
    return answer["error"]["message"]


def image(size=160 * MIB):
    path = os.path.join(directory, "disk.img")
    with open(path, "wb") as file:
        file.truncate(0)
        file.truncate(size)
    return path


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def sfdisk(path):
    table = json.loads(run("sfdisk", "--json", path))["partitiontable"]
    return table, {int(p["node"].removeprefix(path).removeprefix("p")): p for p in table.get("partitions", [])}


def parted(path, sector_size=512):
    environment = dict(os.environ, PARTED_SECTOR_SIZE=str(sector_size))
    lines = run("parted", "-sm", path, "unit", "B", "print", env=environment).splitlines()
    parts = [line.rstrip(";").split(":") for line in lines[2:]]
    return lines[1].split(":")[5], {int(p[0]): (int(p[1][:-1]), int(p[3][:-1])) for p in parts}


def places(answer):
    return {p["number"]: (p["start"], p["length"]) for p in answer["partitions"]}


def identity(partition):
    if partition["guid"]:
        return {"number": partition["number"], "guid": partition["guid"]}
    return {key: partition[key] for key in ("number", "start", "length")}


def check_against_sfdisk(path):
    answer = ask("read", path)
    table, parts = sfdisk(path)
    assert table["label"] == answer["table"], (table, answer)
    assert table["id"].lower().removeprefix("0x") == answer["disk_id"], (table["id"], answer["disk_id"])
    size = table["sectorsize"]
    assert places(answer) == {n: (p["start"] * size, p["size"] * size) for n, p in parts.items()}
    for part in answer["partitions"]:
        theirs = parts[part["number"]]
        assert part["type"].removeprefix("0x") == theirs["type"].lower(), (part, theirs)
        if answer["table"] == "gpt":
            assert part["guid"] == theirs["uuid"].lower()
    assert "No errors detected" in run("sfdisk", "--verify", path)
    return answer


def tables_of_every_type():
    names = {"dos": "msdos"}
    for table in ("dos", "gpt", "sun", "mac", "bsd", "pc98", "dvh"):
        path = image()
        assert ask("read", path)["table"] == ""
        ask("label", path, table=table)
        for _ in range(3):
            ask("create", path, size=20 * MIB)
        answer = ask("read", path)
        assert answer["table"] == table
        label, parts = parted(path)
        assert label == names.get(table, table), label
        assert parts == places(answer), (table, parts, answer)
        own = [p for p in answer["partitions"] if p["kind"] != "metadata"]
        assert len(own) == 3
        for part in own:
            assert part["start"] >= 512 and part["length"] >= 20 * MIB
        ask("delete", path, **identity(own[1]))
        label, parts = parted(path)
        assert parts == places(ask("read", path)) and len(parts) == len(answer["partitions"]) - 1
        ask("clear", path, table=table)
        assert ask("read", path)["table"] == ""


def tables_that_cannot_be_made():
    path = image()
    before = digest(path)
    for table in ("lvm2", "unknown", "loop", "", "x" * 100):
        refused("not_supported", "label", path, table=table)
    assert digest(path) == before
    # What libparted writes and does not read again.
    assert "sectors of 4096" in refused("not_supported", "label", path, table="pc98", sector_size=4096)
    assert digest(path) == before
    # Also of what was there before.
    with open(path, "r+b") as disk:
        for place in (0, 4096, 159 * MIB + 17, 160 * MIB - 5):
            disk.seek(place)
            disk.write(b"here!")
    before = digest(path)
    refused("not_supported", "label", path, table="pc98", sector_size=4096)
    assert digest(path) == before
    path = image(16384)
    before = digest(path)
    refused("not_supported", "label", path, table="sun")
    assert digest(path) == before


def types_of_every_format():
    for table, types in (("gpt", GPT_TYPES), ("dos", DOS_TYPES)):
        for format, type in types.items():
            path = image()
            ask("label", path, table=table)
            made = ask("create", path, size=50 * MIB, format=format)["partition"]
            answer = check_against_sfdisk(path)
            assert sfdisk(path)[1][1]["type"].lower() == type.lower(), (table, format)
            ambiguous = {"none": "linux"} if table == "dos" else {"none": "linux", "fat16": "fat32"}
            assert answer["partitions"][0]["format"] == ambiguous.get(format, format)
            assert made["number"] == 1 and made["length"] >= 50 * MIB


def types_that_a_table_lacks():
    for table, format in (("pc98", "linux-lvm"), ("dvh", "linux-raid"), ("bsd", "linux-lvm"), ("gpt", "extended")):
        path = image()
        ask("label", path, table=table)
        before = digest(path)
        refused("not_supported", "create", path, size=MIB, format=format)
        assert digest(path) == before, table


def plans_write_nothing_and_come_true():
    for table in ("gpt", "dos", "sun"):
        path = image()
        ask("label", path, table=table)
        for size in (1, 513, 3 * MIB + 1):
            before = digest(path)
            plan = ask("create", path, size=size, format="linux", plan=True)["partition"]
            assert digest(path) == before
            made = ask("create", path, size=size, format="linux", number=plan["number"], start=plan["start"])["partition"]
            for key in ("number", "start", "length", "kind", "path"):
                assert made[key] == plan[key], (made, plan)
        # Refused requests write nothing either.
        before = digest(path)
        refused("no_space", "create", path, size=1 << 40)
        refused("no_space", "create", path, size=(1 << 63) - 1)
        refused("invalid_argument", "create", path, size=0)
        refused("invalid_state", "create", path, size=1, number=77)
        refused("invalid_state", "create", path, size=1, start=made["start"])
        refused("invalid_state", "create", path, size=1, start=0)
        refused("invalid_argument", "create", path, size=1, start=5)
        refused("invalid_state", "create", path, size=1, table="mac")
        refused("invalid_state", "read", path, table="mac")
        if table != "sun":
            refused("invalid_state", "create", path, size=1, disk_id="11111111")
        part = ask("read", path)["partitions"][-1]
        ask("delete", path, plan=True, **identity(part))
        plan = ask("resize", path, size=9 * MIB + 1, plan=True, **identity(part))["partition"]
        refused("no_space", "resize", path, size=1 << 40, plan=True, **identity(part))
        assert digest(path) == before
        assert ask("resize", path, size=9 * MIB + 1, **identity(part))["partition"]["length"] == plan["length"]


def a_table_that_libparted_could_not_read_again():
    path = image()
    table = "label: gpt\n3 : start=2100, size=1\n1 : start=2101, size=5\n"
    subprocess.run(["sfdisk", "-q", path], input=table, text=True, check=True)
    before = digest(path)
    # Its last sector would be the one before the partition of one sector.
    assert "between two others" in refused("not_supported", "create", path, size=52 * 512, alignment=512, start=2048 * 512)
    assert digest(path) == before
    ask("create", path, size=51 * 512, alignment=512, start=2048 * 512)
    second = next(p for p in ask("read", path)["partitions"] if p["number"] == 2)
    refused("not_supported", "resize", path, size=52 * 512, alignment=512, **identity(second))
    assert len(ask("read", path)["partitions"]) == 3


def best_fit_and_alignment_at_random():
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    dice = random.Random(seed)
    for table in ("gpt", "dos"):
        path = image(400 * MIB)
        ask("label", path, table=table)
        for _ in range(40):
            before = ask("read", path)
            old = {(p["start"], p["length"]): p for p in before["partitions"]}
            choice = dice.random()
            kinds = [p["kind"] for p in before["partitions"]]
            if choice < 0.6 or not old:
                size = dice.randrange(1, 30 * MIB)
                format = dice.choice(list(GPT_TYPES))
                if table == "dos" and "extended" not in kinds and kinds.count("primary") == 3:
                    format, size = "extended", 150 * MIB
                answer = raw(json.dumps({"operation": "create", "device": path, "size": size, "format": format}).encode())
                fits = [f for f in before["free"] if f["length"] >= size]
                if "error" in answer:
                    assert answer["error"]["code"] == "no_space", answer
                    primaries = len(kinds) - kinds.count("logical")
                    assert not [f for f in fits if f["kind"] == "logical" or primaries < (4 if table == "dos" else 128)]
                    continue
                made = answer["partition"]
                kind = "logical" if made["kind"] == "logical" else "primary"
                assert made["start"] % MIB == 0 and made["length"] >= size
                best = min(f["length"] for f in fits if f["kind"] == kind)
                assert made["start"] in [f["start"] for f in fits if f["length"] == best and f["kind"] == kind]
                changed = {(made["start"], made["length"])}
            elif choice < 0.8:
                victim = dice.choice([p for p in before["partitions"] if p["kind"] != "extended"] or [None])
                if victim is None:
                    continue
                answer = ask("delete", path, **identity(victim))
                numbers = {p["number"]: (p["start"], p["length"]) for p in before["partitions"]}
                after = places(ask("read", path))
                for change in answer["renumbered"]:
                    assert table == "dos" and numbers[change["from"]] == after[change["to"]]
                    assert change["from"] > victim["number"] > 4
                changed = {(victim["start"], victim["length"])}
            else:
                part = dice.choice(before["partitions"])
                size = dice.randrange(1, 2 * part["length"])
                answer = raw(json.dumps({"operation": "resize", "device": path, "size": size, **identity(part)}).encode())
                if "error" in answer:
                    holds = part["kind"] == "extended" and "logical" in kinds
                    assert answer["error"]["code"] in (["no_space", "busy"] if holds else ["no_space"]), answer
                    continue
                now = answer["partition"]
                assert now["start"] == part["start"] and now["length"] >= size
                assert (now["guid"], now["type"], now["number"]) == (part["guid"], part["type"], part["number"])
                changed = {(part["start"], part["length"]), (now["start"], now["length"])}
            after = check_against_sfdisk(path)
            new = {(p["start"], p["length"]): p for p in after["partitions"]}
            for place in set(old) ^ set(new):
                assert place in changed, (place, changed)
            for place in set(old) & set(new) - changed:
                for key in ("type", "guid", "name", "format"):
                    assert old[place][key] == new[place][key]


def four_primaries_and_then_logical_ones():
    path = image()
    ask("label", path, table="dos")
    for _ in range(4):
        assert ask("create", path, size=10 * MIB)["partition"]["kind"] == "primary"
    assert "4 partitions" in refused("no_space", "create", path, size=MIB)
    refused("no_space", "create", path, size=MIB, format="extended")
    refused("invalid_state", "create", path, size=MIB, kind="logical")
    fourth = ask("read", path)["partitions"][3]
    ask("delete", path, **identity(fourth))
    extended = ask("create", path, size=100 * MIB, format="extended")["partition"]
    assert (extended["number"], extended["kind"]) == (4, "extended")
    refused("already_exists", "create", path, size=MIB, format="extended")
    logical = [ask("create", path, size=10 * MIB, format="linux-swap")["partition"] for _ in range(3)]
    assert [p["number"] for p in logical] == [5, 6, 7] and {p["kind"] for p in logical} == {"logical"}
    assert "holds partition 5" in refused("busy", "delete", path, **identity(extended))
    assert ask("delete", path, **identity(logical[0]))["renumbered"] == [{"from": 6, "to": 5}, {"from": 7, "to": 6}]
    answer = check_against_sfdisk(path)
    assert {p["number"] for p in answer["partitions"]} == {1, 2, 3, 4, 5, 6}
    # It is not cut off below what it holds; what does not fit is told by what there is for its kind.
    two = answer["partitions"][-1]
    assert "holds partition 6" in refused("busy", "resize", path, size=25 * MIB, **identity(extended))
    assert f"largest has {extended['start'] + extended['length'] - two['start'] - two['length'] - MIB}" in \
        refused("no_space", "create", path, size=90 * MIB)
    # The hole at the front takes a new one, and nobody's number changes.
    made = ask("create", path, size=10 * MIB)["partition"]
    assert made["number"] == 7 and made["start"] == logical[0]["start"]
    check_against_sfdisk(path)


def a_new_partition_has_nothing_of_an_old_one():
    for table in ("gpt", "dos"):
        path = image()
        ask("label", path, table=table)
        if table == "dos":
            ask("create", path, size=100 * MIB, format="extended")
        kind = "logical" if table == "dos" else "auto"
        parts = [ask("create", path, size=10 * MIB, kind=kind)["partition"] for _ in range(3)]
        with open(path, "r+b") as file:
            for part in parts:
                file.seek(part["start"])
                file.write(b"x" * part["length"])
        ask("delete", path, **identity(parts[1]))
        ask("create", path, size=10 * MIB, kind=kind, plan=True)
        content = open(path, "rb").read()
        assert content[parts[1]["start"]:][:part["length"]].count(b"x") == part["length"]
        ask("create", path, size=10 * MIB, kind=kind)
        content = open(path, "rb").read()
        for part in parts:
            begin, end = content[part["start"]:][:MIB], content[part["start"] + part["length"] - MIB:][:MIB]
            assert begin == end == (b"\0" if part is parts[1] else b"x") * MIB, (table, part)


def partitions_are_named_by_their_identity():
    path = image()
    for table in ("gpt", "dos"):
        ask("label", path, table=table)
        first, second = (ask("create", path, size=10 * MIB)["partition"] for _ in range(2))
        before = digest(path)
        for operation in ("delete", "resize"):
            size = {"size": MIB} if operation == "resize" else {}
            refused("invalid_argument", operation, path, number=1, **size)
            refused("invalid_argument", operation, path, **size)
            refused("invalid_state", operation, path, number=1, start=second["start"], length=second["length"], **size)
            refused("invalid_state", operation, path, number=1, start=first["start"], length=MIB, **size)
            refused("not_found", operation, path, number=9, start=first["start"], length=first["length"], **size)
            refused("invalid_state", operation, path, number=1, guid="0fc63daf-8483-4772-8e79-3d69d8477de4", **size)
        assert digest(path) == before
    path = image()
    answer = ask("label", path, table="mac")
    own = answer["partitions"][0]
    assert own["kind"] == "metadata"
    refused("not_supported", "delete", path, **identity(own))


def names_of_partitions():
    path = image()
    ask("label", path, table="gpt")
    part = ask("create", path, size=MIB, name="first")["partition"]
    assert part["name"] == "first" and sfdisk(path)[1][1]["name"] == "first"
    refused("invalid_state", "rename", path, **identity(dict(part, guid=part["guid"][::-1])), name="other")
    for name in ("another", ""):
        ask("rename", path, **identity(part), name=name)
        assert check_against_sfdisk(path)["partitions"] == [dict(part, name=name)]
        assert sfdisk(path)[1][1].get("name", "") == name
    ask("label", path, table="dos")
    part = ask("create", path, size=MIB, name="first")["partition"]
    refused("not_supported", "rename", path, **identity(part), name="other")


def a_damaged_or_foreign_table():
    path = image()
    ask("label", path, table="gpt")
    ask("create", path, size=10 * MIB)
    good = ask("read", path)
    # One copy of two is enough, in either place, and that is said; 16 is where the checksum is.
    copies = (512 + 16, os.path.getsize(path) - 512 + 16)

    def damage(offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(b"\xff" * 4)

    for offset in copies:
        damage(offset)
        answer = ask("read", path)
        assert answer["warnings"] and places(answer) == places(good), answer
        ask("resize", path, size=20 * MIB, **identity(answer["partitions"][0]))
        good = ask("read", path)
        assert "warnings" not in good
    for offset in copies:
        damage(offset)
    before = digest(path)
    refused("parse_failed", "read", path)
    refused("parse_failed", "create", path, size=MIB)
    assert digest(path) == before
    # A file system is no table.
    path = image()
    run("mkfs.ext4", "-q", path)
    assert ask("read", path)["table"] == ""
    refused("invalid_state", "create", path, size=MIB)
    ask("label", path, table="gpt")
    assert run("wipefs", "--noheadings", "--output", "TYPE", path).split() == ["gpt", "gpt", "PMBR"]


def a_hybrid_table():
    """libparted would write a plain one: whoever goes by the dos table finds its partitions no more."""
    path = image(64 * MIB)
    ask("label", path, table="gpt")
    part = ask("create", path, size=10 * MIB)["partition"]
    with open(path, "r+b") as file:
        file.seek(446 + 16)
        file.write(bytes([0x80, 0, 0, 0, 0x0c, 0, 0, 0]) + (2048).to_bytes(4, "little") + (20480).to_bytes(4, "little"))
    os.truncate(path, 128 * MIB) # mending it would write, too
    before = digest(path)
    assert places(ask("read", path)) == {1: (part["start"], part["length"])}
    for operation, members in (("create", {"size": MIB}), ("create", {"size": MIB, "plan": True}),
                               ("delete", identity(part)), ("resize", {"size": 20 * MIB, **identity(part)})):
        assert "hybrid" in refused("not_supported", operation, path, **members), operation
    refused("already_exists", "label", path, table="gpt", keep=True)
    ask("sync", path)
    assert digest(path) == before
    ask("label", path, table="gpt")
    ask("create", path, size=MIB)


def a_disk_that_grew():
    path = image(32 * MIB)
    ask("label", path, table="gpt")
    part = ask("create", path, size=20 * MIB)["partition"]
    os.truncate(path, 128 * MIB)
    before = digest(path)
    assert ask("read", path)["warnings"]
    # What is planned in the new space can be made.
    plan = ask("create", path, size=90 * MIB, plan=True)["partition"]
    assert digest(path) == before
    made = ask("create", path, size=90 * MIB)["partition"]
    assert (made["number"], made["start"], made["length"]) == (plan["number"], plan["start"], plan["length"])
    check_against_sfdisk(path)
    ask("delete", path, **identity(made))
    now = ask("resize", path, size=100 * MIB, **identity(part))["partition"]
    assert now["length"] >= 100 * MIB and now["guid"] == part["guid"]
    check_against_sfdisk(path)


def a_dos_table_of_another_tool_stays_the_same_disk():
    """Its identity is part of each PARTUUID, and changes neither with boot code nor without."""
    for code, own in ((b"", "0x1234abcd"), (b"boot", "0x1234abcd"), (b"", "0x00000000"), (b"boot", "0x00000000")):
        path = image()
        run("sfdisk", "-q", path, input=f"label: dos\nlabel-id: {own}\nsize=10MiB\nsize=50MiB, type=f\nsize=5MiB\n")
        with open(path, "r+b") as file:
            file.write(code)
        before = ask("read", path)
        made = ask("create", path, size=10 * MIB)["partition"]
        ask("resize", path, size=20 * MIB, **identity(made))
        ask("delete", path, **identity(before["partitions"][0]))
        assert sfdisk(path)[0]["id"] == own, (code, own)
        assert ask("read", path)["disk_id"] == before["disk_id"]
        assert {p["start"] for p in ask("read", path)["partitions"]} == \
            {p["start"] for p in before["partitions"][1:]} | {made["start"]}
        if code:
            assert open(path, "rb").read(440) == code + b"\0" * (440 - len(code))
    # A new one has one of its own.
    ask("label", path, table="dos")
    assert ask("read", path)["disk_id"] not in ("", "1234abcd")


def what_the_table_cannot_address():
    path = image(5 * 10**12)
    ask("label", path, table="dos")
    refused("no_space", "create", path, size=3 * 10**12)
    assert ask("create", path, size=2 * 10**12)["partition"]["number"] == 1
    assert ask("create", path, size=2 * 10**12)["partition"]["number"] == 2
    # The rest begins behind 2^32 sectors.
    refused("no_space", "create", path, size=MIB)
    assert ask("read", path)["free"] == []
    check_against_sfdisk(path)
    ask("label", path, table="gpt")
    assert ask("create", path, size=4 * 10**12)["partition"]["length"] >= 4 * 10**12
    check_against_sfdisk(path)


def add_boot_file(path):
    """As sgi-volhdr does: a file in the volume header of a dvh table (struct volume_header of IRIX's sys/dvh.h)."""
    with open(path, "r+b") as disk:
        header = bytearray(disk.read(512))
        assert header[:4] == b"\x0b\xe5\xa9\x41"
        struct.pack_into(">8sII", header, 72, b"sash", 4, 2 * 512)
        struct.pack_into(">I", header, 504, 0)
        struct.pack_into(">I", header, 504, -sum(struct.unpack(">128I", header)) % 2**32)
        disk.seek(0)
        disk.write(header)
        disk.seek(4 * 512)
        disk.write(b"boot" * 256)


def boot_files_of_a_dvh_table_are_no_partitions():
    path = image()
    ask("label", path, table="dvh")
    first = ask("create", path, size=10 * MIB)["partition"]
    add_boot_file(path)
    _, parts = parted(path)
    assert parts[17] == (4 * 512, 2 * 512), parts
    own = lambda device: [p for p in ask("read", device)["partitions"] if p["kind"] != "metadata"]
    assert own(path) == [first], own(path)
    file = next(p for p in ask("read", path)["partitions"] if p["number"] == 17)
    for operation, members in (("delete", {}), ("resize", {"size": 512})):
        assert "belongs to the table" in refused("not_supported", operation, path, **identity(file), **members)
    second = ask("create", path, size=10 * MIB)["partition"]
    ask("delete", path, **identity(first))
    assert own(path) == [second]
    assert parted(path)[1][17] == parts[17]
    with open(path, "rb") as disk:
        disk.seek(4 * 512)
        assert disk.read(1024) == b"boot" * 256
    with Loop(path) as device:
        shown = {second["number"]: (second["start"], second["length"])}
        header = {p["number"]: (p["start"], p["length"]) for p in ask("read", device)["partitions"] if p["number"] == 9}
        ask("sync", device)
        assert kernel(device) == shown | header, kernel(device)
        third = ask("create", device, size=10 * MIB)["partition"]
        ask("resize", device, size=5 * MIB, **identity(third))
        ask("delete", device, **identity(second))
        assert kernel(device) == {third["number"]: (third["start"], 5 * MIB)} | header


def sectors_of_4096_bytes():
    path = image()
    big = {"sector_size": 4096}
    for table in ("gpt", "dos"):
        ask("label", path, table=table, **big)
        ask("create", path, size=100 * MIB, format="extended" if table == "dos" else "none", **big)
        ask("create", path, size=10 * MIB + 1, kind="logical" if table == "dos" else "auto", **big)
        answer = ask("read", path, **big)
        assert answer["sector_size"] == 4096
        assert parted(path, 4096)[1] == places(answer)
        for part in answer["partitions"]:
            assert part["start"] % MIB == 0 and part["length"] % 4096 == 0
            assert part["type"] != ""


def as_many_partitions_as_there_can_be():
    path = image(400 * MIB)
    ask("label", path, table="gpt")
    for number in range(1, 129):
        assert ask("create", path, size=MIB)["partition"]["number"] == number
    refused("no_space", "create", path, size=MIB)
    assert len(check_against_sfdisk(path)["partitions"]) == 128


def requests_that_are_none():
    path = image()
    texts = [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"{}", b'{"operation": 5}', b'{"operation": "read"}',
             b'{"operation": "eat", "device": "/x"}', b'{"operation": "read", "device": "x"}',
             b'{"operation": "read", "device": "/x\\u0000"}', b" " * 70000, b"[" * 60000,
             json.dumps({"operation": "read", "device": path, "colour": "red"}).encode(),
             json.dumps({"operation": "create", "device": path, "size": -1}).encode(),
             json.dumps({"operation": "create", "device": path, "size": 1.5}).encode(),
             json.dumps({"operation": "create", "device": path, "size": 1 << 64}).encode(),
             json.dumps({"operation": "delete", "device": path, "number": 257}).encode()]
    for text in texts:
        assert raw(text)["error"]["code"] == "invalid_argument", text
    refused("not_found", "read", os.path.join(directory, "nothing"))
    refused("invalid_argument", "read", "/dev/null")
    refused("invalid_argument", "read", directory)
    refused("invalid_state", "read", path, device_number="1:2")
    # Smaller than any table.
    with open(path, "wb") as file:
        file.truncate(100)
    assert "error" in raw(json.dumps({"operation": "label", "device": path, "table": "gpt"}).encode())


def a_disk_that_another_tool_locked():
    path = image()
    ask("label", path, table="gpt")
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused("busy", "create", path, size=MIB, patience=1)
        ask("read", path)
        ask("create", path, size=MIB, plan=True)
    ask("create", path, size=MIB)


def what_is_written_is_marked_before():
    path = image()
    mark = os.path.join(directory, "mark")
    open(mark, "w").close()
    marked = lambda: os.path.getsize(mark) > 0
    ask("label", path, table="gpt")
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused("busy", "create", path, size=MIB, patience=1, mark=mark)
    refused("no_space", "create", path, size=1000 * MIB, mark=mark)
    ask("create", path, size=MIB, plan=True, mark=mark)
    assert not marked()
    before = digest(path)
    refused("not_found", "create", path, size=MIB, mark=mark + "s")
    assert digest(path) == before
    ask("create", path, size=MIB, mark=mark)
    assert marked()


def is_open_in(process, path):
    fds = f"/proc/{process.pid}/fd"
    return any(os.path.realpath(os.path.join(fds, fd)) == path for fd in os.listdir(fds))


def a_table_that_cannot_be_written_costs_nothing():
    path = image()
    ask("label", path, table="gpt")
    ask("create", path, size=MIB)
    before = digest(path)
    # The mark is made twice, before the ends are cleared and before the table is written, and is gone by then. It is
    # a full pipe, so that the first time waits.
    mark = os.path.join(os.path.realpath(directory), "pipe")
    os.mkfifo(mark)
    pipe = os.open(mark, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(pipe, b"x" * 512)
    except BlockingIOError:
        pass
    request = {"operation": "label", "device": path, "table": "dos", "mark": mark}
    with subprocess.Popen([HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as helper:
        helper.stdin.write(json.dumps(request).encode())
        helper.stdin.close()
        while not is_open_in(helper, mark):
            assert helper.poll() is None
        os.unlink(mark)
        os.read(pipe, 1 << 20)
        answer = json.loads(helper.stdout.read())
    os.close(pipe)
    assert mark in answer["error"]["message"], answer
    assert digest(path) == before


def an_image_that_can_only_be_read():
    path = image()
    ask("label", path, table="gpt")
    if os.geteuid() == 0:
        raise Skip("root may write to what is read-only")
    os.chmod(path, 0o400)
    ask("read", path)
    refused("permission_denied", "create", path, size=MIB)
    os.chmod(path, 0o600)


class Loop:
    def __init__(self, path, *options):
        if os.geteuid() != 0:
            raise Skip("not root: no loop devices")
        try:
            self.device = run("losetup", "--find", "--show", "--partscan", *options, path).strip()
        except subprocess.CalledProcessError as error:
            raise Skip("no loop devices: " + error.stderr.strip())

    def __enter__(self):
        return self.device

    def __exit__(self, *_):
        try:
            ask("clear", self.device)
        finally:
            run("losetup", "--detach", self.device)


def kernel(device):
    """The kernel's partitions: number, start and length in bytes."""
    base = "/sys/class/block/" + os.path.basename(device)
    result = {}
    for name in os.listdir(base):
        if os.path.exists(f"{base}/{name}/partition"):
            number, start, size = (int(open(f"{base}/{name}/{what}").read()) for what in ("partition", "start", "size"))
            result[number] = (start * 512, size * 512)
    return result


def loop_devices_follow_the_table():
    for options in ((), ("--sector-size", "4096")):
        with Loop(image(), *options) as device:
            for table in ("gpt", "dos", "sun", "mac", "bsd", "dvh") + (("pc98",) if not options else ()):
                ask("label", device, table=table)
                for _ in range(2):
                    made = ask("create", device, size=10 * MIB)["partition"]
                    assert made["path"] == f"{device}p{made['number']}", made
                assert kernel(device) == places(ask("read", device)), table
            ask("label", device, table="dos")
            ask("create", device, size=100 * MIB, format="extended")
            parts = [ask("create", device, size=10 * MIB, kind="logical")["partition"] for _ in range(3)]
            assert kernel(device)[1][1] <= 4096
            ask("delete", device, **identity(parts[1]))
            del parts[1]
            assert kernel(device) == {1: kernel(device)[1], 5: (parts[0]["start"], parts[0]["length"]),
                                      6: (parts[1]["start"], parts[1]["length"])}


def partitions_in_use_on_a_loop_device():
    with Loop(image()) as device:
        ask("label", device, table="dos")
        ask("create", device, size=100 * MIB, format="extended")
        parts = [ask("create", device, size=10 * MIB, kind="logical")["partition"] for _ in range(3)]
        before, known = digest(device), kernel(device)
        with open(parts[1]["path"], "rb"):
            assert "partition 6" in refused("busy", "delete", device, **identity(parts[1]))
            # Its number would become 5.
            assert "partition 6" in refused("busy", "delete", device, **identity(parts[0]))
            refused("busy", "label", device, table="gpt")
            refused("busy", "clear", device)
            assert digest(device) == before and kernel(device) == known
            # What does not touch it works, and it can grow meanwhile.
            ask("delete", device, **identity(parts[2]))
            ask("resize", device, size=20 * MIB, **identity(parts[1]))
            assert kernel(device)[6] == (parts[1]["start"], 20 * MIB)
            ask("create", device, size=10 * MIB)
        ask("delete", device, **identity(dict(parts[1], length=20 * MIB)))
        check_against_sfdisk(device)


def a_loop_device_that_can_only_be_read():
    path = image()
    ask("label", path, table="gpt")
    part = ask("create", path, size=10 * MIB)["partition"]
    before = digest(path)
    with Loop(path) as device:
        run("blockdev", "--setro", device)
        try:
            for operation, members in (("label", {"table": "gpt"}), ("clear", {}), ("create", {"size": MIB}),
                                       ("create", {"size": MIB, "plan": True}), ("delete", identity(part)),
                                       ("resize", {"size": MIB, **identity(part)})):
                assert "is read-only" in refused("permission_denied", operation, device, **members), operation
            ask("sync", device)
            assert kernel(device) == places(ask("read", device))
            assert digest(path) == before
        finally: # the next that gets this device would find it so
            run("blockdev", "--setrw", device)


def what_the_table_forgot_is_still_in_use():
    path = image()
    ask("label", path, table="gpt")
    first, second = (ask("create", path, size=10 * MIB)["partition"] for _ in range(2))
    with Loop(path) as device:
        ask("sync", device)
        with open(device + "p2", "r+b") as node:
            node.write(b"x" * MIB)
            node.flush()
            os.fsync(node.fileno())
            for part in (second, first):
                ask("delete", path, **identity(part))
            run("blockdev", "--flushbufs", device)
            before = digest(path)
            refused("busy", "create", device, size=15 * MIB)
            assert digest(path) == before
    # Nor is anything else changed whose end the kernel could not be told.
    path = image()
    ask("label", path, table="gpt")
    first, second, third = (ask("create", path, size=10 * MIB)["partition"] for _ in range(3))
    with Loop(path) as device:
        ask("sync", device)
        with open(device + "p3", "rb"):
            ask("delete", path, **identity(third))
            run("blockdev", "--flushbufs", device)
            before = digest(path)
            refused("busy", "resize", device, size=5 * MIB, **identity(second))
            refused("busy", "delete", device, **identity(first))
            assert digest(path) == before


def the_kernel_learns_of_a_table():
    path = image()
    ask("label", path, table="gpt")
    for _ in range(3):
        ask("create", path, size=10 * MIB)
    with Loop(path) as device:
        for part in ask("read", device)["partitions"]:
            if part["number"] in kernel(device):
                run("partx", "--delete", "--nr", str(part["number"]), device)
        assert kernel(device) == {}
        ask("sync", device)
        assert kernel(device) == places(ask("read", device)) and len(kernel(device)) == 3
        # One that grew into the place of others, behind the kernel's back.
        first, second, third = ask("read", device)["partitions"]
        for part in (third, second):
            ask("delete", path, **identity(part))
        ask("resize", path, size=25 * MIB, **identity(first))
        run("blockdev", "--flushbufs", device)
        ask("sync", device)
        assert kernel(device) == places(ask("read", path)) and len(kernel(device)) == 1
        refused("invalid_argument", "read", device + "p1")


def disks_of_every_name():
    """In the lab: sd, vd, nvme, device mapper, links; whatever is on them is lost."""
    disks = os.environ.get("BASIN_TEST_DISKS", "").split()
    if not disks:
        raise Skip("BASIN_TEST_DISKS names no disks to lose")
    for disk in disks:
        real = os.path.realpath(disk)
        base = disk if disk.startswith("/dev/mapper/") else real
        separator = "p" if base[-1].isdigit() else ""
        for table in ("gpt", "dos"):
            print(f"# {disk} {table}", flush=True)
            ask("label", disk, table=table)
            if table == "dos":
                ask("create", disk, size=60 * MIB, format="extended")
            kind = "logical" if table == "dos" else "auto"
            parts = [ask("create", disk, size=10 * MIB, kind=kind)["partition"] for _ in range(3)]
            for part in parts:
                assert part["path"] == f"{base}{separator}{part['number']}", part
                with open(part["path"], "rb") as node:
                    assert node.seek(0, os.SEEK_END) == part["length"], part
            with open(parts[1]["path"], "rb"):
                refused("busy", "delete", disk, **identity(parts[1]))
                refused("busy", "label", disk, table="gpt")
                grown = ask("resize", disk, size=20 * MIB, **identity(parts[2]))["partition"]
            ask("delete", disk, **identity(parts[1]))
            after = {p["start"]: p for p in ask("read", disk)["partitions"]}
            assert parts[1]["start"] not in after
            for part in (parts[0], grown):
                now = after[part["start"]]
                assert (now["guid"], now["length"]) == (part["guid"], part["length"])
                assert now["number"] == part["number"] - (table == "dos" and part is grown)
                with open(now["path"], "rb") as node:
                    assert node.seek(0, os.SEEK_END) == part["length"], now
        ask("clear", disk)
        assert not os.path.exists(f"{base}{separator}1")


def reading_opens_nothing_for_writing():
    with Loop(image()) as device:
        ask("label", device, table="gpt")
        ask("create", device, size=MIB)
        libc = ctypes.CDLL(None, use_errno=True)
        watch = libc.inotify_init1(os.O_NONBLOCK)
        close_write = 0x8
        for path in (device, device + "p1"):
            assert libc.inotify_add_watch(watch, path.encode(), close_write) >= 0
        ask("read", device)
        ask("create", device, size=MIB, plan=True)
        try:
            assert os.read(watch, 4096) == b"", "something was open for writing"
        except BlockingIOError:
            pass
        ask("create", device, size=MIB)
        assert os.read(watch, 4096) != b"", "the watch sees nothing"
        os.close(watch)


CASES = [
    tables_of_every_type, tables_that_cannot_be_made, types_of_every_format, types_that_a_table_lacks,
    plans_write_nothing_and_come_true, a_table_that_libparted_could_not_read_again, best_fit_and_alignment_at_random, four_primaries_and_then_logical_ones,
    a_new_partition_has_nothing_of_an_old_one, partitions_are_named_by_their_identity, names_of_partitions, a_damaged_or_foreign_table, a_hybrid_table,
    a_disk_that_grew, a_dos_table_of_another_tool_stays_the_same_disk,
    what_the_table_cannot_address, boot_files_of_a_dvh_table_are_no_partitions, sectors_of_4096_bytes, as_many_partitions_as_there_can_be, requests_that_are_none,
    a_disk_that_another_tool_locked, what_is_written_is_marked_before, a_table_that_cannot_be_written_costs_nothing, an_image_that_can_only_be_read, loop_devices_follow_the_table,
    partitions_in_use_on_a_loop_device, a_loop_device_that_can_only_be_read,
    what_the_table_forgot_is_still_in_use, the_kernel_learns_of_a_table, disks_of_every_name, reading_opens_nothing_for_writing]

os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"
CASES = [case for case in CASES if case.__name__ in sys.argv[2:]] or CASES
print(f"1..{len(CASES)}")
for index, case in enumerate(CASES, 1):
    name = f"{index} - basin-partition: {case.__name__.replace('_', ' ')}"
    with tempfile.TemporaryDirectory() as directory:
        try:
            case()
            print(f"ok {name}")
        except Skip as reason:
            print(f"ok {name} # SKIP {reason}")
        except Exception as error:
            for line in (traceback.format_exc() + str(getattr(error, "stderr", ""))).splitlines():
                print(f"# {line}")
            print(f"not ok {name}")
    sys.stdout.flush()
