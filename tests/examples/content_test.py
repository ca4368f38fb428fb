# SPDX-License-Identifier: LGPL-2.1-or-later
# Content in and out of volumes, copies, and what stands in the way of a change, through the command.
import hashlib
import os
import pty
import resource
import select
import shutil
import signal
import subprocess

from command import Skip, equal, main, true

CONTENT = b'content' * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def need(basin, *capabilities):
    lacking = set(capabilities) - set(basin.capabilities())
    if lacking:
        raise Skip(f'pools of type dir lack {", ".join(sorted(lacking))}')
    basin.define_vms()


def content_file(basin, name='content', content=CONTENT):
    with open(basin.path(name), 'wb') as file:
        file.write(content)
    return basin.path(name)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def same(content, expected=CONTENT):
    """Like equal(), but does not print all of it."""
    true(content == expected, f'{len(content)} bytes {content[:70]}... are not {expected[:70]}...')


def piped(basin, content, *arguments):
    return subprocess.run(basin.argv(*arguments), input=content, capture_output=True, cwd=basin.directory,
                          env=basin.environment, timeout=120, check=False)


def content_is_carried_in_and_out(basin):
    need(basin, 'upload', 'download')
    path = content_file(basin)
    basin.ok('vol-create-as', 'vms', 'a.img', '7000')
    equal(basin.ok('vol-upload', 'a.img', path, 'vms', '--sha256', DIGEST, '--expect-length', 7000, '--digest'),
          f'Vol a.img uploaded from {path}\nsha256: {DIGEST}\n\n')
    equal(basin.ok('-q', 'vol-download', 'a.img', 'out', 'vms', '--digest'), DIGEST + '\n')
    same(read(basin.path('out')))
    told = basin.json('vol-download', 'a.img', 'out', 'vms', '--digest', '--offset', 7, '--length', 7)
    equal((told['facts']['sha256'], read(basin.path('out'))), (hashlib.sha256(b'content').hexdigest(), b'content'))
    basin.ok('vol-download', 'a.img', 'again', 'vms', '--sha256', DIGEST)
    basin.fails(1, 'vol-download', 'a.img', 'wrong', 'vms', '--sha256', '0' * 64)
    true(not os.path.exists(basin.path('wrong')), 'a wrong download left its file')
    basin.fails(1, 'vol-upload', 'a.img', path, 'vms', '--sha256', '0' * 64)
    basin.fails(1, 'vol-upload', 'a.img', path, 'vms', '--expect-length', 6999)
    basin.fails(2, 'vol-upload', 'a.img', path, 'vms', '--offset', 7001)


def a_download_that_cannot_begin_leaves_the_file_as_it_is(basin):
    need(basin, 'upload', 'download')
    volume = content_file(basin, 'vms/al')
    os.link(volume, basin.path('hard'))
    os.symlink(volume, basin.path('soft'))
    basin.ok('pool-refresh', 'vms')
    for target in volume, 'hard', 'soft':
        basin.fails(2, 'vol-download', 'al', target, 'vms')
        basin.fails(2, 'vol-upload', 'al', target, 'vms')
        same(read(volume))
    precious = content_file(basin, 'precious', b'precious')
    basin.fails(3, 'vol-download', 'missing', precious, 'vms')
    basin.fails(2, 'vol-download', 'al', precious, 'vms', '--offset', 7001)
    same(read(precious), b'precious')
    basin.ok('vol-download', 'al', precious, 'vms', '--length', 7)
    same(read(precious), b'content')


def a_file_that_tells_no_length_is_read_to_its_end(basin):
    need(basin, 'upload')
    basin.ok('vol-upload', 'version', '/proc/version', 'vms', '--create')
    same(read(basin.path('vms/version')), read('/proc/version'))


def a_limit_on_files_is_an_error_and_no_kill(basin):
    need(basin, 'upload', 'download')
    content_file(basin, 'vms/a', b'x' * 8192)
    limited = {'preexec_fn': lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))}
    basin.fails(10, 'vol-download', 'a', 'out', 'vms', **limited)
    basin.fails(10, 'vol-create-as', 'vms', 'b', '1M', **limited)
    basin.root = basin.path('other')  # no event was ever kept there
    told = basin.run('pool-define-as', 'z', 'dir', '--target', basin.path('z'), **limited)
    equal((told.status, 'an event is lost' in told.err), (0, True), told)
    equal([name for name in os.listdir(basin.path('other/run')) if name.startswith('.')], [])


def an_ordinary_user_has_the_copy_of_what_is_roots(basin):
    if os.getuid() != 0:
        raise Skip('only root may become another user')
    need(basin, 'create_from')
    os.chmod(basin.directory, 0o755)
    base = content_file(basin, 'vms/base')
    os.chmod(base, 0o644)
    os.chown(basin.path('vms'), 65534, 65534)
    os.mkdir(basin.path('home'))
    os.chown(basin.path('home'), 65534, 65534)
    basin.root = basin.path('home/root')
    if subprocess.run(basin.argv('version'), user=65534, capture_output=True, check=False).returncode != 0:
        raise Skip('others may not run the program')
    user = {'user': 65534, 'group': 65534, 'extra_groups': []}
    basin.ok('pool-define-as', 'theirs', 'dir', '--target', basin.path('vms'), **user)
    basin.ok('pool-start', 'theirs', **user)
    basin.ok('vol-clone', 'base', 'copy', 'theirs', **user)
    same(read(basin.path('vms/copy')))
    equal(os.stat(basin.path('vms/copy')).st_uid, 65534)


def a_dash_is_standard_input_and_output(basin):
    need(basin, 'upload', 'download')
    basin.ok('vol-create-as', 'vms', 'a.img', '7000')
    done = piped(basin, CONTENT, 'vol-upload', 'a.img', '-', 'vms')
    equal((done.returncode, done.stdout, done.stderr), (0, b'Vol a.img uploaded from -\n\n', b''))
    done = piped(basin, b'', 'vol-download', 'a.img', '-', 'vms')
    equal((done.returncode, done.stderr), (0, b''))
    same(done.stdout)
    done = piped(basin, b'', 'vol-download', 'a.img', '-', 'vms', '--digest')
    equal((done.returncode, done.stderr), (0, DIGEST.encode() + b'\n'))
    same(done.stdout)


def a_new_volume_appears_whole(basin):
    need(basin, 'upload')
    path = content_file(basin)
    basin.fails(1, 'vol-upload', 'new.img', path, 'vms', '--create', '--sha256', '0' * 64)
    equal(basin.ok('-q', 'vol-names', 'vms'), '')
    equal(basin.ok('vol-upload', 'new.img', path, 'vms', '--create', '--sha256', DIGEST),
          f'Vol new.img created from {path}\n\n')
    same(read(basin.path('vms/new.img')))
    basin.fails(5, 'vol-upload', 'new.img', path, 'vms', '--create')
    done = piped(basin, CONTENT, 'vol-upload', 'larger.img', '-', 'vms', '--create', '--capacity', '1M', '--format', 'raw')
    equal((done.returncode, done.stderr), (0, b''))
    same(read(basin.path('vms/larger.img')), CONTENT.ljust(1 << 20, b'\0'))


def an_upload_that_broke_off_goes_on(basin):
    need(basin, 'upload')
    path = content_file(basin)
    for rest in ('pipe', 'file', 'offset'):
        name = rest + '.img'
        done = piped(basin, CONTENT[:3000], 'vol-upload', name, '-', 'vms', '--create', '--resume', '--expect-length', 7000)
        equal(done.returncode, 1, done.stderr)
        equal(basin.ok('-q', 'vol-names', 'vms'), '')
        status = basin.json('vol-upload-status', name, 'vms')
        identity = status.pop('identity')
        equal(status, {'name': name, 'pool': 'vms', 'bytes': 3000})
        equal(basin.ok('vol-upload-status', name, 'vms', '--bytes'),
              f'Name:           {name}\nArrived:        3000 bytes\nIdentity:       {identity}\n\n')
        wanted = ['vms', '--create', '--resume', '--expect-length', 7000, '--sha256', DIGEST]
        basin.fails(3, 'vol-upload', name, path, *wanted, '--expect', identity + '1')
        basin.fails(2, 'vol-upload', name, path, 'vms', '--create', '--expect', identity)
        wanted += ['--expect', identity]
        if rest == 'file':
            basin.fails(2, 'vol-upload', name, content_file(basin, 'short', b'short'), *wanted)
            basin.ok('vol-upload', name, path, *wanted)
        elif rest == 'pipe':
            done = piped(basin, CONTENT, 'vol-upload', name, '-', *wanted)
            equal((done.returncode, done.stderr), (0, b''))
        else:
            done = piped(basin, CONTENT[3000:], 'vol-upload', name, '-', *wanted, '--offset', 3000)
            equal((done.returncode, done.stderr), (0, b''))
        same(read(basin.path('vms/' + name)))
        basin.fails(3, 'vol-upload-status', name, 'vms')
        basin.ok('vol-delete', name, 'vms')


def an_unfinished_upload_is_forgotten_on_demand(basin):
    need(basin, 'upload')
    piped(basin, CONTENT, 'vol-upload', 'new.img', '-', 'vms', '--create', '--resume', '--expect-length', 7001)
    true('discard' in basin.ok('--dry-run', 'vol-upload-discard', 'new.img', 'vms'), 'the dry run lists nothing')
    identity = basin.json('vol-upload-status', 'new.img', 'vms')['identity']
    basin.fails(3, 'vol-upload-discard', 'new.img', 'vms', '--expect', identity + '1')
    equal(basin.ok('vol-upload-discard', 'new.img', 'vms', '--expect', identity),
          'Unfinished upload of vol new.img discarded\n\n')
    basin.fails(3, 'vol-upload-discard', 'new.img', 'vms')


def a_copy_tells_how_it_was_made(basin):
    need(basin, 'create_from')
    basin.ok('vol-create-as', 'vms', 'a.img', '1M', '--allocation', '0')
    printed = basin.ok('vol-clone', 'a.img', 'b.img', 'vms', '--digest').splitlines()
    equal(printed[0], 'Vol b.img cloned from a.img')
    facts = dict(line.split(': ', 1) for line in printed[1:] if line)
    equal(facts['sha256'], hashlib.sha256(bytes(1 << 20)).hexdigest())
    told = basin.json('vol-clone', 'a.img', 'c.img', 'vms')['facts']
    for method in (facts['method'], told['method']):
        true(method in ('reflink', 'copy_file_range', 'sparse_copy', 'qemu-img'), method)
    equal(set(told) - {'method', 'reason'}, set())


def another_volume_of_the_name_is_not_the_one_that_was_meant(basin):
    need(basin, 'delete_volume', 'wipe_volume', 'rename_volume', 'grow_volume', 'upload', 'flatten_volume', 'snapshots')
    basin.ok('vol-create-as', 'vms', 'a.img', '1M')
    seen = basin.ok('-q', 'vol-identity', 'a.img', 'vms').strip()
    equal(basin.json('vol-identity', 'a.img', 'vms')['identity'], seen)
    path = basin.path('vms/a.img')
    os.rename(path, path + '.old')
    with open(path, 'wb') as file:
        file.write(CONTENT)
    for arguments in (['vol-delete', 'a.img'], ['vol-wipe', 'a.img'], ['vol-rename', 'a.img', 'b.img'],
                      ['vol-resize', 'a.img', '2M'], ['vol-upload', 'a.img', path + '.old'], ['vol-flatten', 'a.img'],
                      ['vol-snapshot-create', 'a.img', 's'], ['vol-snapshot-delete', 'a.img', 's'],
                      ['vol-snapshot-revert', 'a.img', 's']):
        message = basin.fails(3, *arguments, '--pool', 'vms', '--expect', seen)
        true('another one has its name' in message, message)
        same(read(path))
    basin.ok('vol-delete', 'a.img', '--pool', 'vms', '--expect', basin.ok('-q', 'vol-identity', 'a.img', 'vms').strip())
    true(not os.path.exists(path), 'it is still there')
    os.unlink(path + '.old')


def what_is_in_the_way_is_told_and_may_be_allowed(basin):
    need(basin, 'backing_images', 'create_from')
    basin.ok('vol-create-as', 'vms', 'base.img', '1M')
    basin.ok('vol-clone', 'base.img', 'top.qcow2', 'vms', '--linked')
    lines = [line.split() for line in basin.ok('-q', 'vol-chain', 'top.qcow2', 'vms').splitlines()]
    equal([line[1:] for line in lines], [['qcow2', 'vms', 'top.qcow2', 'ok'], ['raw', 'vms', 'base.img', 'ok']])
    equal(basin.ok('-q', 'vol-dependents', 'base.img', 'vms').split(), ['top.qcow2', 'vms', basin.path('vms/top.qcow2')])
    blockers = basin.json('vol-blockers', 'base.img', 'vms')
    equal([(blocker['kind'], blocker['pid']) for blocker in blockers], [('backing_image', 0)])
    true('top.qcow2' in blockers[0]['message'], blockers)
    for arguments in (['vol-delete', 'base.img'], ['vol-rename', 'base.img', 'other.img'], ['vol-wipe', 'base.img'],
                      ['vol-delete', 'base.img', '--allow', 'open,holder', '--allow', 'mounted'],
                      ['vol-delete', 'base.img', '--delete-snapshots'], ['vol-upload', 'base.img', '/dev/null']):
        true('top.qcow2' in basin.fails(4, *arguments, '--pool', 'vms'), f'{arguments} does not say who is in the way')
    true(os.path.exists(basin.path('vms/base.img')), 'it was deleted in spite of that')
    basin.ok('vol-delete', 'base.img', '--pool', 'vms', '--allow', 'open', '--allow', 'backing_image,holder')
    equal([link['state'] for link in basin.json('vol-chain', 'top.qcow2', 'vms')], ['ok', 'missing'])


def a_linked_clone_is_a_qcow2_image(basin):
    need(basin, 'backing_images', 'create_from')
    if not shutil.which('qemu-img'):
        raise Skip('needs qemu-img')
    for original in 'raw', 'qcow2', 'vdi', 'vmdk':
        basin.ok('vol-create-as', 'vms', original, '1M', '--format', original)
        basin.ok('vol-clone', original, 'top', 'vms', '--linked')
        chain = basin.json('vol-chain', 'top', 'vms')
        equal([(link['format'], link['state']) for link in chain], [('qcow2', 'ok'), (original, 'ok')])
        basin.ok('vol-delete', 'top', '--pool', 'vms')


def a_clone_becomes_independent(basin):
    need(basin, 'flatten_volume', 'create_from')
    basin.ok('vol-create-as', 'vms', 'base.img', '1M')
    basin.ok('vol-clone', 'base.img', 'top.qcow2', 'vms', '--linked')
    true('based on nothing' in basin.fails(6, 'vol-flatten', 'base.img', '--pool', 'vms'), 'a volume that is no clone')
    true('rebase' in basin.ok('--dry-run', 'vol-flatten', 'top.qcow2', '--pool', 'vms'), 'no plan')
    equal(basin.ok('vol-flatten', 'top.qcow2', '--pool', 'vms'), 'Vol top.qcow2 flattened\n\n')
    equal(len(basin.json('vol-chain', 'top.qcow2', 'vms')), 1)
    basin.ok('vol-delete', 'base.img', '--pool', 'vms')


def a_terminal_shows_how_fast_it_goes(basin):
    need(basin, 'upload')
    basin.ok('vol-create-as', 'vms', 'a.img', '1G', '--allocation', '0')
    controller, terminal = pty.openpty()
    with subprocess.Popen(basin.argv('vol-upload', 'a.img', '-', 'vms', '--length', '1G'), stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=terminal, env=basin.environment) as uploading:
        os.close(terminal)
        shown = b''
        for _ in range(3000):
            if b'/s' in shown:
                break
            uploading.stdin.write(bytes(65536))
            uploading.stdin.flush()
            if select.select([controller], [], [], 0.02)[0]:
                shown += os.read(controller, 65536)
        uploading.send_signal(signal.SIGINT)
    os.close(controller)
    true(b' of 1.00 GiB, ' in shown and b'/s' in shown, shown)


main([content_is_carried_in_and_out, a_dash_is_standard_input_and_output, a_new_volume_appears_whole,
      an_upload_that_broke_off_goes_on, an_unfinished_upload_is_forgotten_on_demand, a_copy_tells_how_it_was_made,
      another_volume_of_the_name_is_not_the_one_that_was_meant, what_is_in_the_way_is_told_and_may_be_allowed,
      a_download_that_cannot_begin_leaves_the_file_as_it_is,
      a_file_that_tells_no_length_is_read_to_its_end,
      a_limit_on_files_is_an_error_and_no_kill,
      an_ordinary_user_has_the_copy_of_what_is_roots,
      a_linked_clone_is_a_qcow2_image, a_clone_becomes_independent, a_terminal_shows_how_fast_it_goes])
