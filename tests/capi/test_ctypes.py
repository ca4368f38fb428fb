# SPDX-License-Identifier: LGPL-2.1-or-later
"""A consumer without a compiler: the whole life of a pool through ctypes. Usage: test_ctypes.py LIBRARY [SANITIZER]"""
import ctypes
import json
import os
import select
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

if sys.argv[2:] not in ([], ["none"]):
    print("skipped: the interpreter cannot load a library with the sanitizer", sys.argv[2])
    sys.exit(77)

BUILD_KEEP = 1
NOT_FOUND = -3

library = ctypes.CDLL(sys.argv[1])
library.basin_version_string.restype = c_char_p
for getter in ("error_message", "error_remedy", "error_detail", "pool_name", "pool_uuid", "volume_name",
               "event_kind_name", "error_name"):
    getattr(library, "basin_" + getter).restype = c_char_p
library.basin_event_kind_name.argtypes = [c_uint32]
library.basin_error_name.argtypes = [c_int]
library.basin_error_json.restype = c_void_p


class Callback(Structure):
    _fields_ = [("fn", c_void_p), ("user_data", c_void_p), ("free_user_data", c_void_p)]


class ContextOptions(Structure):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("root", c_char_p), ("config_dir", c_char_p),
                ("state_dir", c_char_p), ("run_dir", c_char_p), ("system_root", c_char_p), ("log", Callback),
                ("secrets", Callback)]


READ = ctypes.CFUNCTYPE(c_int64, c_void_p, c_void_p, c_size_t, POINTER(c_uint64))
WRITE = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_uint64)


class Transfer(Structure):
    _fields_ = [("struct_size", c_uint32), ("fd", c_int), ("read", Callback), ("write", Callback), ("offset", c_uint64),
                ("length", c_uint64), ("expected_length", c_uint64), ("has_expected_length", c_uint32),
                ("reserved", c_uint32), ("expected_sha256", c_char_p)]

    def __init__(self, **members):
        super().__init__(struct_size=ctypes.sizeof(Transfer), fd=-1, **members)


class Event(Structure):
    _fields_ = [("struct_size", c_uint32), ("kind", c_uint32), ("sequence", c_uint64), ("seconds", c_int64),
                ("nanoseconds", c_uint32), ("from_other_process", c_uint32), ("pool_name", c_char_p),
                ("pool_uuid", c_char_p), ("volume_name", c_char_p)]


class Entry(Structure):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("name", c_char_p), ("key", c_char_p),
                ("path", c_char_p)]


class BasinError(Exception):
    """What a basin_error says."""

    def __init__(self, code, view):
        super().__init__(view["message"])
        self.code = code
        self.view = view


def take_text(pointer):
    """Copies a text and frees it."""
    value = ctypes.string_at(pointer).decode()
    library.basin_free(c_void_p(pointer if isinstance(pointer, int) else pointer.value))
    return value


def call(name, *arguments):
    """Calls a function that can fail."""
    error = c_void_p()
    code = getattr(library, "basin_" + name)(*arguments, byref(error))
    if code != 0:
        view = json.loads(take_text(library.basin_error_json(error)))
        library.basin_error_free(error)
        raise BasinError(code, view)
    assert not error


def text(name, subject, flags=0):
    """Calls a function that gives a text."""
    pointer = c_void_p()
    call(name, subject, c_uint32(flags), byref(pointer))
    return take_text(pointer)


def json_of(name, subject, flags=0):
    """Calls a function that gives a JSON text."""
    return json.loads(text(name, subject, flags))


def expect_error(code, function, *arguments):
    """Expects a call to fail."""
    try:
        function(*arguments)
    except BasinError as error:
        assert error.code == code, (error.code, error.view)
        return error
    raise AssertionError("no error from %s%s" % (function.__name__, arguments))


class Pool:
    """A pool handle that frees itself, in whatever order the interpreter likes."""

    def __init__(self, handle):
        self.handle = handle

    def __del__(self):
        library.basin_pool_free(self.handle)

    def create_volume(self, definition):
        """Creates a volume and returns its handle."""
        volume = c_void_p()
        call("pool_create_volume", self.handle, definition.encode(), c_uint32(0), None, byref(volume))
        return volume

    def entries(self):
        """Lists names and paths."""
        found, count = POINTER(POINTER(Entry))(), c_size_t()
        call("pool_list_volume_entries", self.handle, c_uint32(0), byref(found), byref(count))
        result = [(found[i].contents.name.decode(), found[i].contents.path.decode()) for i in range(count.value)]
        library.basin_volume_entry_list_free(found)
        return result


class Context:
    """A context below a private root directory."""

    def __init__(self, root):
        options = ContextOptions(struct_size=ctypes.sizeof(ContextOptions), root=root.encode())
        self.handle = c_void_p()
        call("context_new", byref(options), c_uint32(0), byref(self.handle))

    def __del__(self):
        library.basin_context_free(self.handle)

    def define(self, definition, flags=0):
        """Defines a pool from XML."""
        pool = c_void_p()
        call("context_define_pool", self.handle, definition.encode(), c_uint32(flags), None, byref(pool))
        return Pool(pool)

    def find(self, name):
        """Finds a pool by name."""
        pool = c_void_p()
        call("context_find_pool", self.handle, name.encode(), c_uint32(0), byref(pool))
        return Pool(pool)

    def event_fd(self):
        """The descriptor for poll."""
        descriptor = c_int(-1)
        call("context_event_fd", self.handle, c_uint32(0), byref(descriptor))
        return descriptor.value

    def events(self):
        """Takes all events but refreshes: the names of their kinds, checked against their JSON."""
        kinds = []
        while True:
            event = POINTER(Event)()
            call("context_next_event", self.handle, c_uint32(0), byref(event))
            if not event:
                return kinds
            kind = library.basin_event_kind_name(event.contents.kind).decode()
            view = json_of("event_to_json", event)
            assert view["kind"] == kind and view["sequence"] == event.contents.sequence, view
            assert view["pool_name"] == event.contents.pool_name.decode(), view
            library.basin_event_free(event)
            if kind != "pool_refreshed":  # also comes when volumes are read for the first time
                kinds.append(kind)


def check_volumes(pool, target):
    """Creates, lists, describes and deletes volumes."""
    volumes = [pool.create_volume("<volume><name>%s</name><capacity unit='KiB'>64</capacity></volume>" % escape(name))
               for name in ("b.img", "a.img", "ü <&>")]
    assert [name for name, _ in pool.entries()] == ["a.img", "b.img", "ü <&>"], pool.entries()
    assert pool.entries()[0][1] == target + "/a.img"
    document = ElementTree.fromstring(text("volume_get_xml", volumes[2]))
    assert document.findtext("name") == "ü <&>" and document.findtext("capacity") == "65536"
    view = json_of("volume_get_json", volumes[2])
    assert view["name"] == "ü <&>" and view["capacity"] == 65536, view
    assert json_of("volume_get_info_json", volumes[0])["capacity"] == 65536
    assert json_of("volume_inspect", volumes[0])["format"] == "raw"
    for volume in volumes:
        call("volume_delete", volume, c_uint32(0), None)
        expect_error(NOT_FOUND, text, "volume_get_xml", volume)
        library.basin_volume_free(volume)
    assert os.listdir(target) == []


def check_content(pool):
    """Carries content in and out with the interpreter's own functions."""
    if "upload" not in json_of("backend_get_json", b"dir")["capabilities"]:
        return
    content = b"content" * 10000
    left, arrived = bytearray(content), bytearray()

    def read(_, buffer, size, _hole):
        piece = bytes(left[:size])
        del left[:size]
        ctypes.memmove(buffer, piece, len(piece))
        return len(piece)

    def write(_, data, size, hole):
        arrived.extend(ctypes.string_at(data, size) if size else bytes(hole))
        return 0

    reader, writer = READ(read), WRITE(write)  # kept until the calls are over
    source = Transfer(read=Callback(fn=ctypes.cast(reader, c_void_p)), expected_length=len(content), has_expected_length=1)
    target = Transfer(write=Callback(fn=ctypes.cast(writer, c_void_p)))
    volume, count = c_void_p(), c_uint64()
    call("pool_upload_volume", pool.handle, b"<volume><name>content</name></volume>", byref(source), c_uint32(0), None,
         byref(volume))
    call("volume_download_to", volume, byref(target), c_uint32(0), None, byref(count))
    assert count.value == len(content) and arrived == content, (count.value, len(arrived))
    call("volume_delete", volume, c_uint32(0), None)
    library.basin_volume_free(volume)


def check_job(pool):
    """The plan of a dry run as JSON."""
    job = c_void_p()
    call("job_new", c_uint32(0), byref(job))
    call("job_set_dry_run", job, c_int(1), c_uint32(0))
    call("pool_stop", pool.handle, c_uint32(0), job)
    plan = json_of("job_get_plan_json", job)
    assert plan and all(step["kind"] and step["call"] for step in plan), plan
    assert json_of("job_get_trace_json", job) == []
    library.basin_job_free(job)


def main():
    """The life of a pool."""
    assert library.basin_version_string().decode().count(".") == 2
    for kind in ("dir", "rbd"):
        assert json_of("backend_get_json", kind.encode())["type"] == kind
    with tempfile.TemporaryDirectory(prefix="basin-ctypes-") as root:
        target = root + "/images"
        context = Context(root)
        poll = select.poll()
        poll.register(context.event_fd(), select.POLLIN)
        definition = "<pool type='dir'><name>py</name><target><path>%s</path></target></pool>" % target
        pool = context.define(definition)
        assert poll.poll(0)
        call("pool_build", pool.handle, c_uint32(BUILD_KEEP), c_uint32(0), None)
        call("pool_start", pool.handle, c_uint32(0), c_uint32(0), None)
        assert context.events() == ["pool_defined", "pool_built", "pool_started"]
        document = ElementTree.fromstring(text("pool_get_xml", pool.handle))
        assert document.get("type") == "dir" and document.findtext("target/path") == target
        view = json_of("pool_get_json", pool.handle)
        assert view["name"] == "py" and view["target"]["path"] == target, view
        assert json_of("pool_get_info_json", pool.handle)["state"] == "running"
        assert json_of("pool_get_diagnostics_json", pool.handle) == []
        check_volumes(pool, target)
        seen = context.events()
        check_content(pool)
        context.events()
        assert seen == ["volume_created"] * 3 + ["volume_deleted"] * 3, seen
        check_job(pool)
        error = expect_error(NOT_FOUND, context.find, "other")
        assert error.view["code"] == "not_found" and "other" in error.view["message"], error.view
        call("pool_stop", pool.handle, c_uint32(0), None)
        call("pool_delete", pool.handle, c_uint32(0), None)
        call("pool_undefine", pool.handle, c_uint32(0), None)
        assert context.events() == ["pool_stopped", "pool_deleted", "pool_undefined"]
        expect_error(NOT_FOUND, text, "pool_get_xml", pool.handle)
        del context
        del pool


if __name__ == "__main__":
    main()
