# SPDX-License-Identifier: LGPL-2.1-or-later
# The rows about what volumes contain: made, deleted, copied, transferred, wiped.
import os
import pathlib
import shutil
import subprocess
import tempfile
from contextlib import contextmanager

from contest import Samples, interleave
from table import AtMost, AtMostLimit, Line, TimesFaster, TimesFasterThanLimit

MIB = 1 << 20
MEMORY = '/dev/shm'


def mount_file(bench, image, target, kind):
    """Makes a file system in a file and mounts it; raises LookupError where that cannot be."""
    for tool in ('mount', f'mkfs.{kind}'):
        if not shutil.which(tool):
            raise LookupError(f'{tool} is missing')
    if os.geteuid() != 0 or 'BASIN_BENCH_PRIVATE' not in os.environ:
        raise LookupError('needs root and unshare')
    options = {'xfs': ['-m', 'reflink=1']}.get(kind, [])
    for argv in ([f'mkfs.{kind}', '-q', *options, image], ['mount', '-o', 'loop', image, target]):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise LookupError(f'{argv[0]}: {done.stderr.strip()}')


@contextmanager
def pool_directory(bench, parent=None):
    """A directory that everybody may write, the peer's user too."""
    path = tempfile.mkdtemp(prefix='basin-bench-content-', dir=parent or bench.work)
    os.chmod(path, 0o777)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def file_system(bench, kind, size):
    image = pathlib.Path(bench.work, f'{kind}.img')
    target = pathlib.Path(bench.work, kind)
    target.mkdir()
    with open(image, 'wb') as file:
        file.truncate(size)
    try:
        mount_file(bench, image, target, kind)
        try:
            with pool_directory(bench, target) as directory:
                yield directory
        finally:
            subprocess.run(['umount', target], check=True)
    finally:
        image.unlink()


def turns_of(bench, work, limits=('',), peer=True, **values):
    """One turn for each contestant; those of the limit are named by how they do it."""
    def limit(how):
        return lambda: bench.run('bench-content-limits', work, by=how, prefix='limit-', **values)
    turns = {how or 'limit': limit(how) for how in limits}
    if bench.has('bench-content-basin'):
        turns['basin'] = lambda: bench.run('bench-content-basin', work, root=bench.memory_root(),
                                           prefix='basin-', **values)
    else:
        bench.note('without basin: bench-content-basin is not built')
    daemon = bench.peer() if peer else None
    if daemon:
        turns['libvirt'] = lambda: bench.run('bench-content-libvirt', work, uri=daemon.uri,
                                             prefix='libvirt-', **values)
    return turns


def few(bench):
    return min(bench.sizes.rounds, bench.sizes.copy_rounds)


def have_tool(bench, tool):
    if not shutil.which(tool):
        bench.note(f'without {tool}: it is not installed')
    return shutil.which(tool) is not None


def make_file(bench, path, size, data):
    bench.run('bench-content-limits', 'make', path=path, size=size, data=data)
    return path


def best_of(samples, ways, name):
    """The samples of the way that has the smallest minimum."""
    known = [samples(way, name) for way in ways if samples(way, name)]
    return min(known, key=min) if known else []


# ---- creating, deleting -------------------------------------------------------------------------

def create_lines(bench, directory, where, durable):
    lines = []
    for kind in ('qcow2', 'raw'):
        tools = ('tool',) if have_tool(bench, 'qemu-img') else ()
        s = interleave(bench, turns_of(bench, 'create', ('', *tools), dir=directory, format=kind,
                                       samples=bench.sizes.creations))
        many = 30 if kind == 'qcow2' else 3
        limit = [AtMostLimit(1.5)] if durable else []
        fast = [TimesFaster(many)] if durable else []
        lines += [
            Line(f'create {kind}, {where}', s('basin', 'create'), s('limit', 'create'),
                 s('libvirt', 'create'), f'≤ 1.5 × limit; ≥ {many} × libvirt' if durable else '',
                 limit + fast),
            Line('the same, beside qemu-img create', s('basin', 'create'), s('tool', 'create'),
                 [], '≥ 12 × qemu-img' if durable and kind == 'qcow2' else '',
                 [TimesFasterThanLimit(12)] if durable and kind == 'qcow2' else []),
            Line(f'delete it, {where}', s('basin', 'delete'), s('limit', 'delete'),
                 s('libvirt', 'delete'), '≤ 1.5 × limit; ≥ 3 × libvirt' if durable else '',
                 limit + ([TimesFaster(3)] if durable else []))]
    return lines


def create(bench):
    with pool_directory(bench) as directory:
        lines = create_lines(bench, directory, 'durable', True)
    if os.path.isdir(MEMORY):
        with pool_directory(bench, MEMORY) as directory:
            lines += create_lines(bench, directory, 'in memory', False)
    return lines


# ---- copies -------------------------------------------------------------------------------------

def clone(bench):
    size = bench.sizes.copy
    with pool_directory(bench) as directory:
        make_file(bench, f'{directory}/source', size, size // 4)
        tools = ('tool',) if have_tool(bench, 'cp') else ()
        s = interleave(bench, turns_of(bench, 'clone', ('', *tools), dir=directory,
                                       source='source'), warm_up=False, rounds=few(bench))
        lines = [
            Line(f'clone raw, {size // MIB} MiB of which ¼ is data', s('basin', 'clone'),
                 s('limit', 'clone'), s('libvirt', 'clone'), '≤ 1.3 × copy_file_range',
                 [AtMostLimit(1.3)]),
            Line('the same, beside cp and fsync', s('basin', 'clone'), s('tool', 'clone'), [])]
        dense = f'{directory}/dense'
        make_file(bench, dense, size // 4, size // 4)
        make_file(bench, f'{directory}/sparse', bench.sizes.sparse, size // 4)
        s = interleave(bench, turns_of(bench, 'clone', dir=directory, source='sparse', peer=False)
                       | {'dense': turns_of(bench, 'clone', dir=directory, source='dense',
                                            peer=False)['basin']},
                       warm_up=False, rounds=few(bench))
        what = f'clone raw, {bench.sizes.sparse >> 40} TiB with {size // 4 // MIB} MiB of data'
        lines += [
            Line(what, s('basin', 'clone'), s('limit', 'clone'), [], '≤ 1.3 × copy_file_range',
                 [AtMostLimit(1.3)]),
            Line('the same, beside basin and a file of these data alone', s('basin', 'clone'),
                 s('dense', 'clone'), [], '≤ 1.3 × that', [AtMostLimit(1.3)])]
        bench.note('libvirt reads each byte of a sparse file, 8 TiB in hours: it has no turn there')
    return lines


def reflink(bench):
    lines = []
    size = bench.sizes.copy
    for kind in ('btrfs', 'xfs'):
        try:
            with file_system(bench, kind, max(3 * size, 512 * MIB)) as directory:
                make_file(bench, f'{directory}/source', size, size // 4)
                s = interleave(bench, turns_of(bench, 'clone', ('reflink',), dir=directory,
                                               source='source'), rounds=few(bench))
        except LookupError as error:
            bench.note(f'without {kind}: {error}')
            continue
        lines.append(Line(f'clone raw on {kind}, shared without being asked', s('basin', 'clone'),
                          s('reflink', 'clone'), s('libvirt', 'clone'),
                          '≤ 1.5 × FICLONE; ≥ 200 × libvirt', [AtMostLimit(1.5), TimesFaster(200)]))
    return lines


# ---- transfers ----------------------------------------------------------------------------------

def transfer_lines(bench, directory, where, size):
    lines = []
    ways = ('memory', 'kernel')
    outside = make_file(bench, f'{directory}/outside', size, size)
    make_file(bench, f'{directory}/source', size, size)
    values = dict(dir=directory, out=f'{directory}/out')
    for work, source in (('upload', outside), ('download', 'source')):
        s = interleave(bench, turns_of(bench, work, ways, source=source, **values),
                       warm_up=False, rounds=few(bench))
        best = best_of(s, ways, 'fd')
        title = f'{work} {size // MIB} MiB {where}'
        lines += [
            Line(f'{title}, through an fd', s('basin', 'fd'), best, s('libvirt', 'callback'),
                 '≤ 1.2 × limit; ≥ 12 × libvirt', [AtMostLimit(1.2), TimesFaster(12)]),
            Line('the same, through a callback', s('basin', 'callback'), best,
                 s('libvirt', 'callback'), '≤ 1.5 × limit; ≥ 12 × libvirt',
                 [AtMostLimit(1.5), TimesFaster(12)])]
    return lines


def transfer(bench):
    lines = []
    if os.path.isdir(MEMORY):
        with pool_directory(bench, MEMORY) as directory:
            lines += transfer_lines(bench, directory, 'in memory', bench.sizes.copy)
    with pool_directory(bench) as directory:
        lines += transfer_lines(bench, directory, 'on the disk', bench.sizes.copy // 8)
    return lines


def wipe(bench):
    size = bench.sizes.copy // 8
    with pool_directory(bench) as directory:
        s = interleave(bench, turns_of(bench, 'wipe', ('', 'zero-range'), dir=directory,
                                       size=size), warm_up=False, rounds=few(bench))
    return [
        Line(f'wipe {size // MIB} MiB with zeros', s('basin', 'wipe'), s('limit', 'wipe'),
             s('libvirt', 'wipe'), '≤ 1.2 × pwrite and fsync', [AtMostLimit(1.2)]),
        Line('the same, beside ZERO_RANGE and fsync, which may leave the old blocks as they are',
             s('basin', 'wipe'), s('zero-range', 'wipe'), [])]


# ---- programs, memory ---------------------------------------------------------------------------

def available_bytes():
    with open('/proc/meminfo') as file:
        for line in file:
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    return 0


def starts(bench):
    if not bench.has('bench-starts'):
        return []
    large = bench.sizes.large_process
    if available_bytes() < large + (large >> 2):
        large = available_bytes() // 2
        bench.note(f'the large process has only {large >> 20} MiB, for want of memory')
    samples = Samples()
    for _ in range(few(bench)):
        samples.add('starts', bench.run('bench-starts', large=large))
    s = samples
    sizes = f'{large >> 20} MiB'
    return [
        Line(f'start a program from {sizes}, beside fork and exec', s('starts', 'runner_large'),
             s('starts', 'fork_large'), []),
        Line('the same from 10 MiB, beside fork and exec', s('starts', 'runner_small'),
             s('starts', 'fork_small'), []),
        Line(f'the same from {sizes}, beside basin from 10 MiB', s('starts', 'runner_large'),
             s('starts', 'runner_small'), [], 'no dearer (≤ 1.1 ×)', [AtMostLimit(1.1)])]


def copy_memory(bench):
    if not bench.has('bench-content-basin') or not os.path.isdir(MEMORY):
        return []
    small, large = 64 * MIB, bench.sizes.large_copy
    samples = Samples()
    for name, size in (('small', small), ('large', large)):
        with pool_directory(bench, MEMORY) as directory:
            samples.add(name, bench.run('bench-content-basin', 'memory', root=bench.memory_root(),
                                        dir=directory, size=size, data=size // 8))
    convert = ['convert'] if have_tool(bench, 'qemu-img') else []
    return [
        Line(f'memory while {what.replace("_", " by ")} goes on: {large // MIB} MiB, and 64 MiB as '
             'limit', samples('large', what), samples('small', what), [], '≤ 16 MiB',
             [AtMost(16 * MIB)], 'B')
        for what in ('clone', 'upload', 'upload_callback', 'download', 'download_callback', 'wipe',
                     *convert)]


ALL = {function.__name__.replace('_', '-'): function for function in
       (create, clone, reflink, transfer, wipe, starts, copy_memory)}
