# SPDX-License-Identifier: LGPL-2.1-or-later
# The rows of the table: what each contestant does for it, and the target.
import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections import defaultdict
from contextlib import contextmanager

import content_rows
import peer
from contest import interleave
from table import AtMost, AtMostLimit, AtMostOrLimit, Line, TimesFaster


def basin_turns(bench, work, **values):
    """The turns of basin's macro program, if it is built."""
    if not bench.has('bench-basin'):
        bench.note('without basin: bench-basin is not built')
        return {}
    return {'basin': lambda: bench.run('bench-basin', work, root=bench.root(), **values)}


def libvirt_turns(bench, work, **values):
    daemon = bench.peer()
    if daemon is None:
        return {}
    return {'libvirt': lambda: bench.run('bench-libvirt', work, uri=daemon.uri, **values)}


def refresh_turns(bench, directory, count):
    turns = {'limit': lambda: bench.run('bench-limits', 'refresh', dir=directory)}
    turns |= basin_turns(bench, 'refresh', dir=directory, count=count)
    return turns


def refresh(bench):
    count = bench.sizes.volumes
    directory = bench.corpus('mixed', count)
    turns = refresh_turns(bench, directory, count)
    turns |= {'basin on one': turn for turn in
              basin_turns(bench, 'refresh', dir=directory, count=count, processors=1).values()}
    turns |= libvirt_turns(bench, 'refresh', dir=directory, count=count)
    s = interleave(bench, turns)
    return [
        Line(f'first refresh, {count} mixed, warm, one processor', s('basin on one', 'first'),
             s('limit', 'first_1'), s('libvirt', 'first'), '≤ 1.3 × limit',
             [AtMostLimit(1.3)]),
        Line('the same, all processors, beside the loop on one thread', s('basin', 'first'),
             s('limit', 'first_1'), s('libvirt', 'first'), '< limit; ≥ 6 × libvirt',
             [AtMostLimit(1), TimesFaster(6)]),
        Line('the same, beside the loop on two threads', s('basin', 'first'),
             s('limit', 'first_2'), s('libvirt', 'first')),
        Line('the same, beside one thread that skips files without blocks', s('basin', 'first'),
             s('limit', 'first_skip_holes'), s('libvirt', 'first')),
        Line('refresh again, nothing changed, one processor', s('basin on one', 'again'),
             s('limit', 'again'), s('libvirt', 'again'), '≤ 1.5 × limit; ≥ 9 × libvirt',
             [AtMostLimit(1.5), TimesFaster(9)]),
        Line('the same, all processors', s('basin', 'again'), s('limit', 'again'),
             s('libvirt', 'again'), '≤ 1.5 × limit; ≥ 9 × libvirt',
             [AtMostLimit(1.5), TimesFaster(9)]),
        Line('names only', s('basin', 'names'), [], s('libvirt', 'again')),
    ]


@contextmanager
def small_readahead_mount(bench):
    """An ext4 on a loop device that reads 128 KiB ahead; the data bypasses the page cache of the
    file below. The mount lives in this process' own mount namespace."""
    for tool in ('losetup', 'mkfs.ext4', 'mount', 'umount'):
        if not shutil.which(tool):
            raise LookupError(f'{tool} is missing')
    if os.geteuid() != 0 or 'BASIN_BENCH_PRIVATE' not in os.environ:
        raise LookupError('needs root and unshare')
    image = pathlib.Path(bench.work, 'cold.img')
    target = pathlib.Path(bench.work, 'cold')
    target.mkdir()
    with open(image, 'wb') as file:
        file.truncate(4 << 30)
    subprocess.run(['mkfs.ext4', '-q', '-F', image], check=True)

    def losetup(*options):
        return subprocess.run(['losetup', *options, '--show', '-f', image], capture_output=True,
                              text=True)
    done = losetup('--direct-io=on')
    if done.returncode != 0:
        done = losetup()
    if done.returncode != 0:
        raise LookupError(f'no loop device: {done.stderr.strip()}')
    device = done.stdout.strip()
    try:
        queue = pathlib.Path('/sys/block', pathlib.Path(device).name, 'queue', 'read_ahead_kb')
        queue.write_text('128')
        mounted = subprocess.run(['mount', '-t', 'ext4', device, target], capture_output=True,
                                 text=True)
        if mounted.returncode != 0:
            raise LookupError(f'cannot mount: {mounted.stderr.strip()}')
    finally:
        # While it is mounted this only marks it; the device goes with the mount.
        subprocess.run(['losetup', '-d', device], check=True)
    try:
        yield str(target)
    finally:
        subprocess.run(['umount', target], check=True)
        image.unlink()


def cold(bench):
    count = bench.sizes.volumes
    try:
        with small_readahead_mount(bench) as mount:
            directory = bench.corpus('mixed', count, mount)
            turns = {'limit': lambda: bench.run('bench-limits', 'cold', dir=directory)}
            turns |= basin_turns(bench, 'cold', dir=directory)
            turns |= libvirt_turns(bench, 'cold', dir=directory)
            s = interleave(bench, turns, warm_up=False)
            bench.forget('mixed', count, mount)
    except LookupError as error:
        bench.note(f'without the cold rows: {error}')
        return []
    return [
        Line(f'first refresh, {count} mixed, cold, readahead 128 KiB', s('basin', 'cold'),
             s('limit', 'cold'), s('libvirt', 'cold'), '≥ 2 × libvirt', [TimesFaster(2)]),
        Line('the same, beside a loop without readahead', s('basin', 'cold'),
             s('limit', 'cold_random'), s('libvirt', 'cold')),
        Line('the same, beside a loop that also skips files without blocks', s('basin', 'cold'),
             s('limit', 'cold_skip_holes'), s('libvirt', 'cold')),
        Line('page cache that it pulls in', s('basin', 'cold_cache'),
             s('limit', 'cold_skip_holes_cache'), s('libvirt', 'cold_cache'), "≤ ½ of libvirt's",
             [TimesFaster(2)], 'B'),
    ]


def micro_turns(bench, directory, names):
    """Google Benchmark runs basin and the limit; its figures come back as contestant/name."""
    if not bench.has('bench-micro'):
        bench.note('without basin: bench-micro is not built')
        return {'limit': lambda: bench.run('bench-limits', 'micro', dir=directory)}

    def turn():
        argv = [bench.program('bench-micro'), f'root={bench.root()}', f'dir={directory}',
                f'--benchmark_filter=/({names})', '--benchmark_format=json',
                f'--benchmark_min_time={bench.sizes.min_time}']
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(f'bench-micro: exit status {done.returncode}')
        factor = {'ns': 1e-9, 'us': 1e-6, 'ms': 1e-3, 's': 1}
        return {entry['name']: entry['real_time'] * factor[entry['time_unit']]
                for entry in json.loads(done.stdout)['benchmarks']}
    return {'micro': turn}


def either(samples, contestant, name):
    """A figure of bench-micro, or of bench-limits where bench-micro is not built."""
    return samples('micro', f'{contestant}/{name}') or samples(contestant, name)


def listing(bench):
    count = bench.sizes.volumes
    directory = bench.corpus('mixed', count)
    turns = micro_turns(bench, directory, 'list|info|xml')
    turns |= libvirt_turns(bench, 'micro', dir=directory, count=count)
    s = interleave(bench, turns)
    return [
        Line(f'list {count} with names, keys and paths', either(s, 'basin', 'list'),
             either(s, 'limit', 'list'), s('libvirt', 'list_without_paths'), '≤ 2 × limit',
             [AtMostLimit(2)]),
        Line('the same as handles; libvirt asks for each path', either(s, 'basin', 'list_handles'),
             either(s, 'limit', 'list'), s('libvirt', 'list')),
        Line('volume info, fresh from the kernel', either(s, 'basin', 'info'),
             either(s, 'limit', 'info'), s('libvirt', 'info'), '≤ 3 µs', [AtMost(3e-6)]),
        Line('volume XML', either(s, 'basin', 'xml'), either(s, 'limit', 'xml'),
             s('libvirt', 'xml'), '≤ 6 µs', [AtMost(6e-6)]),
    ]


def lookup(bench):
    count = bench.sizes.lookups
    directory = bench.corpus('mixed', count)
    turns = micro_turns(bench, directory, 'lookup')
    turns |= libvirt_turns(bench, 'micro', dir=directory, count=count)
    s = interleave(bench, turns, warm_up=False)
    return [Line(f'look up by {what} among {count}', either(s, 'basin', f'lookup_{what}'),
                 either(s, 'limit', 'lookup'), s('libvirt', f'lookup_{what}'),
                 '< 0.5 µs; ≥ 150 × libvirt', [AtMost(0.5e-6), TimesFaster(150)])
            for what in ('name', 'key', 'path')]


def million(bench):
    count = bench.sizes.million
    tenth = count // 10
    lines = []
    results = {}
    for size in (tenth, count):
        directory = bench.corpus('empty', size)
        results[size] = interleave(bench, refresh_turns(bench, directory, size), warm_up=False)
        bench.forget('empty', size)
    def exponent(contestant, name):
        small, large = results[tenth](contestant, name), results[count](contestant, name)
        return [slope({tenth: min(small), count: min(large)})] if small and large else []
    for name, limit, text in (('first', 'first_1', 'first refresh of {} empty files'),
                              ('again', 'again', 'refresh again'), ('list', 'list', 'list')):
        s = results[count]
        lines.append(Line(text.format(count), s('basin', name), s('limit', limit), [],
                          'works; ≤ 2 × limit' if name == 'list' else '',
                          [AtMostLimit(2)] if name == 'list' else []))
        lines.append(Line(f'the same, exponent from {tenth}', exponent('basin', name), exponent('limit', limit),
                          [], 'linear, or the limit', [AtMostOrLimit(1.1)], ''))
    bench.note('libvirt lists at most 16,384 volumes of a pool (REMOTE_STORAGE_VOL_LIST_MAX)')
    return lines


def slope(by_size):
    """The exponent of growth between the smallest and the largest size."""
    low, high = min(by_size), max(by_size)
    return math.log(by_size[high] / by_size[low]) / math.log(high / low)


def growth(bench):
    figures = defaultdict(dict)
    for count in bench.sizes.growth:
        directory = bench.corpus('mixed', count)
        turns = refresh_turns(bench, directory, count)
        turns |= libvirt_turns(bench, 'refresh', dir=directory, count=count)
        s = interleave(bench, turns)
        for contestant, name in (('basin', 'first'), ('basin', 'again'), ('basin', 'list'),
                                 ('limit', 'first_1'), ('limit', 'again'), ('limit', 'list'),
                                 ('libvirt', 'first'), ('libvirt', 'again')):
            if s(contestant, name):
                figures[contestant, name][count] = min(s(contestant, name))
        if count > bench.sizes.volumes:
            bench.forget('mixed', count)
    span = f'{bench.sizes.growth[0]} → {bench.sizes.growth[-1]}'

    def exponent(contestant, name):
        by_size = figures[contestant, name]
        return [slope(by_size)] if by_size else []
    return [
        Line(f'growth {span} of the first refresh: exponent', exponent('basin', 'first'),
             exponent('limit', 'first_1'), exponent('libvirt', 'first'),
             '≤ 1.05 or the limit', [AtMostOrLimit(1.05)], ''),
        Line('growth of refresh again: exponent', exponent('basin', 'again'),
             exponent('limit', 'again'), exponent('libvirt', 'again'),
             '≤ 1.05 or the limit', [AtMostOrLimit(1.05)], ''),
        Line('growth of the listing: exponent', exponent('basin', 'list'),
             exponent('limit', 'list'), [], '≤ 1.05 or the limit', [AtMostOrLimit(1.05)], ''),
    ]


def pools(bench):
    lines = []
    # Nobody deletes the other pools before the row is over: for some minutes ext4 avoids the inodes
    # of deleted files, and each new file pays for the search.
    daemon = peer.Daemon(bench.work) if bench.peer() else None
    for others in bench.sizes.pools:
        directory = tempfile.mkdtemp(prefix='pools-', dir=bench.work)
        os.chmod(directory, 0o755)
        values = dict(others=others, samples=bench.sizes.samples)
        turns = {'limit': lambda: bench.run('bench-limits', 'pools', dir=bench.root(), **values)}
        turns |= basin_turns(bench, 'pools', dir=directory, **values)
        if daemon:
            turns['libvirt'] = lambda: bench.run('bench-libvirt', 'pools', uri=daemon.uri,
                                                 dir=directory, **values)
        s = interleave(bench, turns, warm_up=False)
        for name in ('define', 'start', 'stop', 'undefine'):
            lines.append(Line(f'{name} a pool beside {others} others', s('basin', name),
                              s('limit', name), s('libvirt', name), '≤ 1.3 × limit',
                              [AtMostLimit(1.3)]))
    if daemon:
        daemon.stop()
    first, last = lines[0], lines[4]
    lines.append(Line(f'define: {bench.sizes.pools[1]} others against {bench.sizes.pools[0]}',
                      growth_of(first.basin, last.basin), growth_of(first.limit, last.limit),
                      growth_of(first.libvirt, last.libvirt),
                      "flat: ≤ 1.2 × the limit's", [AtMostLimit(1.2)], ' ×'))
    return lines


def growth_of(small, large):
    return [min(large) / min(small)] if small and large else []


def memory(bench):
    count = bench.sizes.memory
    directory = bench.corpus('mixed', count)
    turns = basin_turns(bench, 'memory', dir=directory)
    if bench.peer():
        def turn():
            # A daemon that has read a pool before would reuse that memory.
            daemon = peer.Daemon(bench.work)
            try:
                return bench.run('bench-libvirt', 'memory', uri=daemon.uri, pid=daemon.pid,
                                 dir=directory, count=count)
            finally:
                daemon.stop()
        turns['libvirt'] = turn
    s = interleave(bench, turns, warm_up=False)
    return [
        Line(f'memory per volume of {count}, resident', s('basin', 'per_volume'), [],
             s('libvirt', 'per_volume'), '≤ 400 B', [AtMost(400)], 'B'),
        Line('the same, on the heap', s('basin', 'heap_per_volume'), [], [], '≤ 400 B',
             [AtMost(400)], 'B'),
        Line('kept after the pool stopped, resident', s('basin', 'kept_per_volume'), [],
             s('libvirt', 'kept_per_volume'), 'given back (≤ 20 B)', [AtMost(20)], 'B'),
        Line('kept after the pool stopped, on the heap', s('basin', 'heap_kept_per_volume'), [],
             [], 'given back (≤ 20 B)', [AtMost(20)], 'B'),
    ]


def process(bench):
    count = bench.sizes.listing
    directory = bench.corpus('mixed', count)

    def spawn(*argv):
        return lambda: bench.run('bench-limits', 'spawn', '--', *argv, samples=5)
    turns = {'limit': spawn(bench.program('bench-limits'), 'print-names', f'dir={directory}')}
    daemon = bench.peer()
    if daemon:
        bench.run('bench-libvirt', 'set-up', uri=daemon.uri, dir=directory)
        if shutil.which('virsh'):
            turns['libvirt'] = spawn('virsh', '-c', daemon.uri, 'vol-list', 'bench')
        else:
            bench.note('without virsh: libvirt-clients is not installed')
    root = bench.root()
    if basin_turns(bench, ''):
        bench.run('bench-basin', 'set-up', root=root, dir=directory)
        turns['basin'] = spawn(bench.program('bench-basin'), 'print-volumes', f'root={root}')
        if bench.command_line():
            turns['command'] = spawn(bench.command_line(), '--root', root, 'vol-list', 'bench')
        else:
            bench.note('without the basin command: it is not built')
    try:
        s = interleave(bench, turns)
    finally:
        if daemon:
            bench.run('bench-libvirt', 'tear-down', uri=daemon.uri)
        if 'basin' in turns:
            bench.run('bench-basin', 'tear-down', root=root)
    return [
        Line(f'process start to the end of a listing of {count}: basin vol-list and virsh',
             s('command', 'spawn'), s('limit', 'spawn'), s('libvirt', 'spawn'), '≤ 12 ms',
             [AtMost(12e-3)]),
        Line('the same, a bare C++ program', s('basin', 'spawn'), s('limit', 'spawn'),
             s('libvirt', 'spawn'), '≤ 12 ms', [AtMost(12e-3)]),
    ]


# The pools come first: see there what deleted files do.
ALL = {function.__name__: function for function in
       (pools, refresh, cold, listing, lookup, growth, million, memory, process)} | content_rows.ALL
