# SPDX-License-Identifier: LGPL-2.1-or-later
# Dry runs, exit statuses, error texts and what happens to the output of the command.
import os
import pty
import shutil
import signal
import subprocess
import threading
import time

from command import Skip, equal, main, tree, true


def a_dry_run_of_any_changing_verb_changes_nothing(basin):
    basin.define_vms()
    basin.ok('vol-create-as', 'vms', 'a.img', '1M')
    basin.ok('pool-define-as', 'idle', 'dir', '--target', basin.path('idle'))
    basin.write('new.xml', f"<pool type='dir'><name>new</name><target><path>{basin.path('vms2')}</path></target></pool>")
    basin.write('v.xml', '<volume><name>v</name><capacity>1</capacity></volume>')
    os.mkdir(basin.path('vms2'))
    before = tree(basin.directory)
    for arguments in (
            ['pool-define', 'new.xml'], ['pool-define-as', 'new', 'dir', '--target', basin.path('new')],
            ['pool-create', 'new.xml'], ['pool-create-as', 'new', 'dir', '--target', basin.path('vms2')],
            ['pool-build', 'idle'], ['pool-destroy', 'vms'], ['pool-autostart', 'vms'], ['pool-undefine', 'idle'],
            ['vol-create', 'vms', 'v.xml'], ['vol-create-as', 'vms', 'v', '1M'], ['vol-delete', 'a.img', 'vms']):
        for words in (['--dry-run', *arguments], [*arguments, '--dry-run']):
            printed = basin.ok(*words)
            true('  1. ' in printed and '     undo: ' in printed, f'{words} printed {printed}')
    true('DESTRUCTIVE: ' in basin.ok('--dry-run', 'vol-delete', 'a.img', 'vms'), 'deleting is not marked')
    true('nothing to do' in basin.ok('--dry-run', 'pool-refresh', 'vms'), 'refresh has steps')
    true(f"linkat '{basin.path('vms')}/it'\\''s a name'\n" in basin.ok('--dry-run', 'vol-create-as', 'vms', "it's a name", '1M'),
         'what has blanks is not told from several words')
    equal(tree(basin.directory), before)
    equal(basin.ok('-q', 'pool-list', '--all', '--name'), 'idle\nvms\n')


def a_dry_run_of_autostart_lists_the_steps_of_every_pool(basin):
    for name in ('a', 'b', 'gone'):
        basin.ok('pool-define-as', name, 'dir', '--target', basin.path(name))
        basin.ok('pool-autostart', name)
    basin.ok('pool-build', 'a')
    basin.ok('pool-build', 'b')
    result = basin.run('--dry-run', 'pool-autostart-all')
    equal(result.status, 0)
    true("pool 'a'" in result.out and "pool 'b'" in result.out and '  2. ' in result.out, result)
    true(result.err.startswith('warning: ') and "'gone'" in result.err, result)
    equal(basin.ok('-q', 'pool-list'), '')


def each_class_of_error_has_its_exit_status(basin):
    basin.define_vms()
    basin.write('bad.xml', "<pool type='dir'><name>x</name></pool>")
    basin.write('odd.xml', "<pool type='dir'><name>x</name><odd/><target><path>/x</path></target></pool>")
    for status, arguments in (
            (2, ['pool-info']), (2, ['no-verb']), (2, ['--no-option']), (2, []), (2, ['pool-info', 'vms', 'more']),
            (2, ['vol-create-as', 'vms', 'x', '10Q']), (2, ['vol-create-as', 'vms', 'x', '99999999999E']),
            (2, ['pool-list', '--details', '--name']), (2, ['pool-list', '--all', '--inactive']),
            (2, ['vol-resize', 'a', '-1K', 'vms']), (2, ['pool-list', '--type', 'dir,wrong']),
            (2, ['pool-start', 'vms', '--overwrite', '--no-overwrite']), (2, ['--timeout', 'soon', 'pool-list']),
            (2, ['pool-event']), (2, ['pool-event', '--event', 'wrong']), (2, ['vol-wipe', 'x', '--algorithm', 'wrong']),
            (2, ['vol-delete', 'x', '--allow', 'job']), (2, ['vol-rename', 'x', 'y', '--allow', 'open,wrong']),
            (2, ['vol-create-as', 'vms', 'x', '1M', '--prealloc', 'wrong']),
            (2, ['vol-create-as', 'vms', 'x', '1M', '--prealloc', 'full', '--prealloc-metadata']),
            (2, ['vol-metadata', 'x', '--pool', 'vms', '--expect', '1']),
            (2, ['vol-upload', 'x', '/dev/null', 'vms', '--resume']), (2, ['vol-upload', 'x', '/dev/null', '--create']),
            (2, ['--json', 'vol-download', 'x', '-', 'vms']), (2, ['explain-access', '/', '0', '--mode', 'rq']),
            (2, ['explain-access', '/', '4294967295', '--group', '0']), (2, ['explain-access', '/', '4000000000']),
            (3, ['explain-access', '/', 'no such user']), (3, ['explain-access', '/', '0', '--group', 'no such group']),
            (3, ['explain-access', '/nosuch', '0']), (3, ['explain-access', '/etc/passwd/', '0']), (3, ['vol-upload-status', 'x', 'vms']),
            (3, ['pool-info', 'nosuch']), (3, ['vol-info', 'nosuch', 'vms']), (3, ['vol-info', '/nosuch']),
            (3, ['pool-define', 'nosuch.xml']), (3, ['image-inspect', 'nosuch']),
            (6, ['pool-start', 'vms']), (6, ['pool-undefine', 'vms']),
            (7, ['pool-define', 'bad.xml']), (7, ['pool-define', 'odd.xml', '--validate']),
            (11, ['--readonly', 'pool-destroy', 'vms'])):
        error = basin.fails(status, *arguments)
        true(error.startswith('{"error"' if '--json' in arguments else 'error: '), f'{arguments}: {error}')
    basin.ok('vol-create-as', 'vms', 'a', '1M', '--allocation', '0')
    basin.fails(5, 'vol-create-as', 'vms', 'a', '1M')


def errors_name_the_object_and_a_way_out(basin):
    equal(basin.fails(3, 'pool-info', 'x'), "error: pool 'x': no such pool\nhint: see 'basin pool-list --all'\n")
    true("'vol-resize' requires CAPACITY\nhint: usage: basin vol-resize VOL CAPACITY" in
         basin.fails(2, 'vol-resize', 'a'), 'a missing argument is not named')
    true("error: 'vol-info': --pool needs a value\nhint: " in basin.fails(2, 'vol-info', 'a', '--pool'), 'a missing value')
    true("error: 'vol-info': --pool was given more than once\nhint: " in
         basin.fails(2, 'vol-info', 'a', 'b', '--pool', 'c'), 'a value too many')
    hostile = basin.fails(3, 'pool-info', 'x\x1b[2Jy')
    true('\x1b' not in hostile and r'\x1b[2Jy' in hostile, hostile)
    hostile = basin.fails(3, 'pool-info', 'x\u202egmi.y\u200bz')
    true(r'x\xe2\x80\xaegmi.y\xe2\x80\x8bz' in hostile, hostile)
    basin.ok('pool-define-as', 'left\u202eright', 'dir', '--target', '/tmp/left')
    table = basin.ok('pool-list', '--all')
    true('\u202e' not in table and r'left\xe2\x80\xaeright' in table, table)
    equal(basin.json('pool-list', '--all')[0]['name'], 'left\u202eright')
    basin.ok('pool-undefine', 'left\u202eright')


def ignored_parts_of_a_definition_are_warned_of(basin):
    basin.write('odd.xml', f"<pool type='dir'><name>x</name><odd/><target><path>{basin.path('x')}</path></target></pool>")
    result = basin.run('pool-define', 'odd.xml')
    equal(result.status, 0)
    true(result.err.startswith('warning: ') and 'odd' in result.err, result)
    basin.ok('pool-undefine', 'x')
    equal(basin.ok('--quiet', 'pool-define', 'odd.xml'), '')


def the_root_may_come_from_the_environment(basin):
    basin.define_vms()
    for extra, expected in (({'BASIN_ROOT': basin.root}, 'vms\n'), ({'BASIN_ROOT': basin.path('other')}, '')):
        done = subprocess.run([basin.program, '-q', 'pool-list', '--name'], capture_output=True, text=True, check=True,
                              env={**basin.environment, **extra})
        equal(done.stdout, expected)
    elsewhere = [f'--{kind}-dir={basin.path(kind)}' for kind in ('config', 'state', 'run')]
    equal(basin.ok('-q', *elsewhere, 'pool-list', '--all'), '')


def unwritable_output_is_an_error(basin):
    if not os.path.exists('/dev/full'):
        raise Skip('no /dev/full')
    with open('/dev/full', 'w', encoding='ascii') as full:
        done = subprocess.run(basin.argv('help'), stdout=full, stderr=subprocess.PIPE, text=True, env=basin.environment,
                              check=False)
    equal((done.returncode, done.stderr), (1, 'error: cannot write the output: No space left on device\n'))


def a_size_that_is_none_is_shown_whole(basin):
    basin.define_vms()
    for size in '-1', 'G':
        true(f"'{size}'" in basin.fails(2, 'vol-create-as', 'vms', 'x', f'--capacity={size}'), size)
    true("capacity '-1': '-1'" in basin.fails(2, 'vol-create-as', 'vms', 'x', '--capacity=-1'), 'the number')


def a_name_that_is_no_text_is_told_as_such(basin):
    basin.define_vms()
    for arguments in (['vol-create-as', 'vms', 'a\udcff', '1M'], ['pool-define-as', 'a\udcff', 'dir', '--target', '/x'],
                      ['vol-upload', 'a\udcff', '/dev/null', 'vms', '--create']):
        true("'a\\xFF'" in basin.fails(2, *arguments), arguments)


def a_way_out_is_one_that_there_is(basin):
    basin.define_vms()
    basin.ok('vol-create-as', 'vms', 'q', '1M', '--format', 'qcow2')
    basin.run('vol-clone', 'q', 'overlay', 'vms', '--linked')
    true('hint: end its use, or allow it explicitly (backing_image)\n' in basin.fails(4, 'vol-delete', 'q', 'vms'), 'delete')
    true('hint: end its use first\n' in basin.fails(4, 'vol-snapshot-create', 'q', 's', 'vms'), 'snapshot')


def an_empty_value_is_no_value(basin):
    basin.define_vms()
    basin.ok('vol-create-as', 'vms', 'a', '1M', '--allocation', '0')
    basin.write('content', 'x')
    for words, name in ((['--config-dir', '', 'pool-list'], 'config-dir'), (['pool-list', '--run-dir', ''], 'run-dir'),
                        (['vol-delete', 'a', 'vms', '--expect', ''], 'expect'), (['vol-info', 'a', '--pool', ''], 'pool'),
                        (['vol-upload', 'a', 'content', 'vms', '--sha256', ''], 'sha256'), (['vol-info', ''], 'vol'),
                        (['vol-create-as', 'vms', '', '1M'], 'name'), (['vol-delete', 'a', 'vms', '--allow', ''], 'allow')):
        true(basin.fails(2, *words).startswith(f'error: --{name} is empty\nhint: '), words)
    equal(basin.json('vol-names', 'vms'), ['a'])


def a_flag_takes_no_value(basin):
    basin.define_vms()
    for arguments in (('--dry-run=false', 'pool-destroy', 'vms'), ('pool-destroy', 'vms', '--dry-run=no'),
                      ('pool-build', 'vms', '--overwrite=false'), ('pool-list', '--all=0')):
        true(' takes no value' in basin.fails(2, *arguments), arguments)
    basin.ok('pool-list', '--all')


def a_negative_size_takes_away(basin):
    basin.define_vms()
    basin.ok('vol-create-as', 'vms', 'a', '1M', '--allocation', '0')
    equal(basin.ok('vol-resize', 'a', '-512K', 'vms', '--shrink'), "Size of volume 'a' successfully changed by 512K\n\n")
    equal(basin.json('vol-info', 'a', 'vms')['capacity'], 512 * 1024)


def missing_standard_descriptors_are_errors_and_nobody_elses_files(basin):
    basin.define_vms()
    basin.ok('vol-create-as', 'vms', 'v', '1M')
    content = basin.write('content', 'x' * (1 << 20))
    basin.ok('vol-upload', 'v', content, 'vms')
    def run(redirections, *arguments):
        done = subprocess.run(['sh', '-c', f'exec "$@" {redirections}', 'sh', *basin.argv(*arguments)], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, env=basin.environment, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr
    error = 'error: cannot write the output: Bad file descriptor\n'
    for arguments in ['pool-list', '--all'], ['vol-info', 'v', 'vms'], ['version'], ['--json', 'pool-list'], ['pool-refresh', 'vms']:
        status, _, text = run('<&- >&-', *arguments)
        equal((status, text if '--json' not in arguments else error), (1, error), arguments)
        equal(run('>/dev/full', *arguments)[0], 1)
    for redirections in '<&- >&-', f'1<{content}':
        equal(run(redirections, 'vol-download', 'v', '-', 'vms')[::2],
              (1, "error: file '-': standard output is not open for writing\nhint: redirect it, or give the path of a file\n"))
    for redirections in '<&-', f'0>>{content}':
        equal(run(redirections, 'vol-upload', 'v', '-', 'vms')[::2],
              (1, "error: file '-': standard input is not open for reading\nhint: redirect it, or give the path of a file\n"))
    equal(run('<&-', 'pool-define', '-')[0], 1)
    equal(run('<&- >&- 2>&-', 'vol-download', 'v', basin.path('copy'), 'vms')[0], 1) # it cannot say so
    equal(open(basin.path('copy'), encoding='ascii').read(), 'x' * (1 << 20))
    for directory, _, files in os.walk(basin.root):
        for file in files:
            with open(os.path.join(directory, file), 'rb') as stream:
                equal(b'Name' in stream.read(4096), False, file)


def a_reader_that_has_enough_is_no_error_to_talk_about(basin):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as closed:
        done = subprocess.run(basin.argv('help'), stdout=closed, stderr=subprocess.PIPE, text=True, env=basin.environment,
                              check=False)
    equal((done.returncode, done.stderr), (1, ''))


def a_definition_may_come_from_standard_input(basin):
    xml = f"<pool type='dir'><name>x</name><target><path>{basin.path('x')}</path></target></pool>"
    done = subprocess.run(basin.argv('pool-define', '-'), input=xml, capture_output=True, text=True, env=basin.environment,
                          check=False)
    equal((done.returncode, done.stdout, done.stderr), (0, 'Pool x defined from -\n\n', ''))


def a_failed_edit_asks_on_a_terminal_and_tries_again(basin):
    basin.define_vms(start=False)
    basin.write('edit', '#!/bin/sh\nif [ -e tried ]; then sed -i s/tarpit/target/ "$1"; '
                'else touch tried; sed -i s/target/tarpit/ "$1"; fi\n')
    os.chmod(basin.path('edit'), 0o755)
    controller, terminal = pty.openpty()
    process = subprocess.Popen(basin.argv('pool-edit', 'vms'), stdin=terminal, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=basin.directory,
                               env={**basin.environment, 'VISUAL': basin.path('edit')})
    os.write(controller, b'?\ny\n')
    out, err = process.communicate(timeout=60)
    os.close(terminal)
    os.close(controller)
    equal((process.returncode, out), (0, 'Pool vms XML configuration not changed.\n\n'))
    true('target path is missing' in err and err.count('Try again? [y,n,i,?]: ') == 2, err)


def what_a_killed_command_began_is_undone_by_the_next_and_told_of(basin):
    for attempt in range(500):  # killed when its journal appears: mostly before it is done
        basin.root, target = basin.path(f'root{attempt}'), basin.path(f'x{attempt}')
        journal = os.path.join(basin.root, 'var', 'journal')
        process = subprocess.Popen(basin.argv('pool-create-as', 'x', 'dir', '--target', target, '--build'),
                                   stdout=subprocess.DEVNULL, cwd=basin.directory, env=basin.environment)
        while process.poll() is None and not (os.path.isdir(journal) and os.listdir(journal)):
            pass
        process.kill()
        process.wait()
        before = tree(basin.directory)
        planned = [step['summary'] for step in basin.json('--dry-run', 'recover')['steps']]
        equal(basin.run('--dry-run', 'pool-list', '--all').status, 0)
        equal(tree(basin.directory), before, 'a dry run has recovered')
        told = basin.json('recover')
        equal(basin.json('recover'), [], 'told of twice')
        if told and not told[0]['finished']:
            true(told[0]['operation'] in ('pool-build x', 'pool-start x'), told)
            equal(told[0]['message'], 'undone')
            operation = told[0]['operation']
            true(planned and all(step.startswith((f"undo of '{operation}': ", f"forget '{operation}', "))
                                 for step in planned), planned)
            equal((basin.ok('-q', 'pool-list', '--all'), os.path.exists(target)), ('', False))
            return
    raise AssertionError('no kill left anything to recover')


def how_full_a_thin_pool_is_is_shown(basin):
    """With what LVM said in the lab, by a program in its place."""
    kept = os.path.join(os.path.dirname(__file__), '../transcripts/lvm/all-kinds')
    with open(kept, encoding='utf-8') as file:
        basin.write('report', ''.join(line[2:] for line in file if line.startswith('> ')))
    os.mkdir(basin.path('bin'))
    basin.write('bin/lvm', f'#!/bin/sh\n[ "$1" != fullreport ] || cat {basin.path("report")}\n')
    os.chmod(basin.path('bin/lvm'), 0o755)
    fake = {'PATH': basin.path('bin') + ':' + os.environ['PATH']}
    basin.ok('pool-define-as', 'lvm', 'logical', '--source-name', 'labvg', env=fake)
    basin.ok('pool-start', 'lvm', env=fake)
    shown = basin.ok('pool-info', 'lvm', env=fake)
    true(shown.endswith('\nThin pool pool: 96.00 MiB, data 0.00 %, metadata 10.94 %\n\n'), shown)
    true('Thin pool pool: 100663296, data' in basin.ok('pool-info', 'lvm', '--bytes', env=fake), 'not in bytes')


def what_keeps_a_user_from_a_file_is_told(basin):
    path = basin.write('file', '')
    os.chmod(basin.directory, 0o700)
    other = os.getuid() + 1
    for arguments in ([], ['--mode', 'w'], ['--group', f'{os.getgid() + 1},{os.getgid() + 2}'],
                      ['--group', os.getgid() + 1, '--group', os.getgid() + 2]):
        groups = [] if '--group' in arguments else ['--group', os.getgid() + 1]
        result = basin.run('explain-access', path, other, *groups, *arguments)
        equal((result.status, result.err), (1, ''), result)
        lines = dict(line.split(':', 1) for line in result.out.splitlines() if line)
        equal((lines['Allowed'].strip(), lines['Component'].strip()), ('no', basin.directory), result)
        true(lines['Rule'].strip() and lines['Remedy'].strip(), result)


def a_look_at_storage_that_hangs_ends_with_its_timeout(basin):
    if os.getuid() != 0 or not shutil.which('fuse2fs') or not os.path.exists('/dev/fuse'):
        raise Skip('needs root, fuse2fs and FUSE')
    image, mount = basin.write('image', ''), basin.path('vms')
    os.truncate(image, 64 << 20)
    os.mkdir(mount)
    subprocess.run(['mkfs.ext4', '-q', image], check=True)
    server = subprocess.Popen(['fuse2fs', '-f', '-o', 'fakeroot', image, mount],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not os.path.ismount(mount):
            true(server.poll() is None, 'fuse2fs has ended')
            time.sleep(0.01)
        basin.define_vms()
        basin.ok('vol-create-as', 'vms', 'a', '1M')
        server.send_signal(signal.SIGSTOP)
        # One that waits as long as without the option is ended by the server.
        healer = threading.Timer(15, server.send_signal, [signal.SIGCONT])
        healer.start()
        error = basin.fails(13, '--timeout', '1', 'vol-info', 'a', 'vms')
        healer.cancel()
        true(error.startswith('error: '), error)
        server.send_signal(signal.SIGCONT)
        basin.ok('--timeout', '30', 'vol-info', 'a', 'vms')
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(['umount', '-l', mount], check=True)
        server.wait(timeout=60)


main([a_dry_run_of_any_changing_verb_changes_nothing, a_dry_run_of_autostart_lists_the_steps_of_every_pool,
      each_class_of_error_has_its_exit_status,
      errors_name_the_object_and_a_way_out, ignored_parts_of_a_definition_are_warned_of,
      the_root_may_come_from_the_environment, unwritable_output_is_an_error,
      a_size_that_is_none_is_shown_whole, a_name_that_is_no_text_is_told_as_such, a_way_out_is_one_that_there_is,
      an_empty_value_is_no_value, a_flag_takes_no_value,
      a_negative_size_takes_away,
      missing_standard_descriptors_are_errors_and_nobody_elses_files,
      a_reader_that_has_enough_is_no_error_to_talk_about, a_definition_may_come_from_standard_input,
      a_failed_edit_asks_on_a_terminal_and_tries_again,
      how_full_a_thin_pool_is_is_shown, what_keeps_a_user_from_a_file_is_told,
      a_look_at_storage_that_hangs_ends_with_its_timeout,
      what_a_killed_command_began_is_undone_by_the_next_and_told_of])
