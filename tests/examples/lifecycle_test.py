# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole life of a pool and its volumes through the command: every verb, what it prints for people.
import os
import select
import signal
import subprocess

from command import equal, main, true

POOL = '''<pool type='dir'>
  <name>vms</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <target>
    <path>{directory}/vms</path>
  </target>
</pool>
'''

VOLUME = '''<volume><name>a.img</name><capacity unit='MiB'>10</capacity><allocation>0</allocation></volume>'''


def optional(basin, capability, *arguments):
    """Runs a verb that this version's dir pools may not offer: it works, or says clearly that it does not."""
    if capability in basin.capabilities():
        return basin.ok(*arguments)
    error = basin.fails(8, *arguments)
    true(error.startswith('error: ') and 'vms' in error, error)
    return None


def define_and_start(basin):
    equal(basin.ok('pool-list'), ' Name   State   Autostart\n---------------------------\n\n')
    basin.write('vms.xml', POOL.format(directory=basin.directory))
    equal(basin.ok('pool-define', 'vms.xml', '--validate'), 'Pool vms defined from vms.xml\n\n')
    equal(basin.ok('pool-list', '--all'),
          ' Name   State      Autostart\n------------------------------\n vms    inactive   no\n\n')
    equal(basin.ok('pool-info', 'vms'), 'Name:           vms\nUUID:           11111111-2222-3333-4444-555555555555\n'
          'State:          inactive\nPersistent:     yes\nAutostart:      no\n\n')
    equal(basin.ok('pool-build', 'vms'), 'Pool vms built\n\n')
    true(os.path.isdir(basin.path('vms')), 'pool-build made no directory')
    equal(basin.ok('pool-autostart', 'vms'), 'Pool vms marked as autostarted\n\n')
    equal(basin.ok('pool-autostart-all'), ' Name   Result\n-----------------\n vms    started\n\n')
    equal(basin.ok('pool-destroy', 'vms'), 'Pool vms destroyed\n\n')
    equal(basin.ok('pool-autostart', 'vms', '--disable'), 'Pool vms unmarked as autostarted\n\n')
    equal(basin.ok('pool-start', 'vms'), 'Pool vms started\n\n')


def look_at_pool(basin):
    uuid = '11111111-2222-3333-4444-555555555555'
    equal(basin.ok('pool-name', uuid), 'vms\n\n')
    equal(basin.ok('pool-uuid', basin.path('vms') + '/'), uuid + '\n\n')
    lines = basin.normalised(basin.ok('pool-info', '--pool', 'vms')).splitlines()
    equal(lines[2:5], ['State:          running', 'Persistent:     yes', 'Autostart:      no'])
    equal([line[:16] for line in lines[5:8]], ['Capacity:       ', 'Allocation:     ', 'Available:      '])
    sizes = dict(line.split(':') for line in basin.ok('pool-info', 'vms', '--bytes').splitlines() if line)
    equal(int(sizes['Capacity']) >= int(sizes['Available']) > 0, True, sizes)
    heading, rule, row, blank = basin.normalised(basin.ok('pool-list', '--details')).split('\n')[:4]
    equal(heading.split(), ['Name', 'State', 'Autostart', 'Persistent', 'Capacity', 'Allocation', 'Available'])
    equal((row.split(), blank), (['vms', 'running', 'no', 'yes', 'SIZE', 'SIZE', 'SIZE'], ''))
    equal(basin.ok('-q', 'pool-list', '--name'), 'vms\n')
    equal(basin.ok('-q', 'pool-list', '--uuid'), uuid + '\n')
    for nothing in ('--inactive', '--transient', '--autostart', '--type=fs,netfs'):
        equal(basin.ok('-q', 'pool-list', '--name', nothing), '')
    xml = basin.ok('pool-dumpxml', 'vms', '--inactive')
    true(f'<uuid>{uuid}</uuid>' in xml and f"<path>{basin.path('vms')}</path>" in xml, xml)
    os.symlink('nowhere', basin.path('vms/dangling'))
    equal(basin.ok('pool-refresh', 'vms'), 'Pool vms refreshed\n\n')
    true('dangling_link' in basin.ok('pool-diagnostics', 'vms'), 'the dangling link is no diagnostic')
    os.unlink(basin.path('vms/dangling'))


def make_volumes(basin):
    basin.write('a.xml', VOLUME)
    equal(basin.ok('vol-create', 'vms', 'a.xml'), 'Vol a.img created from a.xml\n\n')
    equal(basin.ok('vol-create-as', 'vms', 'b.img', '1M', '--format', 'raw'), 'Vol b.img created\n\n')
    xml = basin.ok('vol-create-as', '--pool', 'vms', '--name', '<c>', '--capacity', '1KB', '--print-xml')
    true('<name>&lt;c&gt;</name>' in xml and "<capacity unit='bytes'>1000</capacity>" in xml, xml)
    equal(basin.normalised(basin.ok('vol-list', 'vms')),
          f' Name    Path\n{"-" * (len(basin.path("vms/a.img")) + 11)}\n a.img   DIR/vms/a.img\n b.img   DIR/vms/b.img\n\n')
    rows = basin.ok('vol-list', 'vms', '--details').splitlines()
    equal(rows[0].split(), ['Name', 'Path', 'Type', 'Capacity', 'Allocation'])
    equal(rows[2].split()[2:], ['file', '10.00', 'MiB', '0.00', 'B'])
    equal(rows[3].split()[2:], ['file', '1.00', 'MiB', '1.00', 'MiB'])
    equal(basin.ok('vol-names', 'vms'), 'a.img\nb.img\n\n')
    equal(basin.ok('-q', 'vol-list', 'vms', '--path'), basin.path('vms/a.img') + '\n' + basin.path('vms/b.img') + '\n')
    equal(basin.ok('vol-info', 'a.img', '--pool', 'vms'),
          'Name:           a.img\nType:           file\nCapacity:       10.00 MiB\nAllocation:     0.00 B\n\n')
    equal(basin.ok('vol-info', 'a.img', 'vms', '--bytes', '--physical'),
          'Name:           a.img\nType:           file\nCapacity:       10485760 bytes\nPhysical:       10485760 bytes\n\n')


def look_at_volume(basin):
    path = basin.path('vms/a.img')
    equal(basin.ok('vol-path', 'a.img', 'vms'), path + '\n\n')
    equal(basin.ok('vol-key', path), path + '\n\n')
    equal(basin.ok('vol-name', path), 'a.img\n\n')
    equal(basin.ok('vol-pool', path), 'vms\n\n')
    equal(basin.ok('vol-pool', path, '--uuid'), '11111111-2222-3333-4444-555555555555\n\n')
    for chain in ((), ('--chain',)):
        true("<capacity unit='bytes'>10485760</capacity>" in basin.ok('vol-dumpxml', 'a.img', 'vms', *chain), 'vol-dumpxml')
    chain = optional(basin, 'backing_images', 'vol-chain', 'a.img', 'vms')
    if chain is not None:
        equal([line.split() for line in chain.splitlines()[2:3]], [[path, 'raw', 'vms', 'a.img', 'ok']])
    printed = optional(basin, 'backing_images', 'vol-dependents', 'a.img', 'vms')
    equal(printed in (None, ' Name   Pool   Path\n---------------------\n\n'), True, printed)
    equal(basin.ok('vol-refresh', 'a.img', '--pool', 'vms'), 'Vol a.img refreshed\n\n')
    true('Format:         raw\n' in basin.ok('vol-inspect', 'a.img', '--pool', 'vms'), 'vol-inspect')
    true('Virtual size:   10.00 MiB\n' in basin.ok('image-inspect', path), 'image-inspect')


def change_volume(basin):
    printed = optional(basin, 'grow_volume', 'vol-resize', 'a.img', '20M', '--pool', 'vms')
    equal(printed in (None, "Size of volume 'a.img' successfully changed to 20M\n\n"), True, printed)
    printed = optional(basin, 'create_from', 'vol-clone', 'b.img', 'c.img', '--pool', 'vms')
    true(printed is None or printed.startswith('Vol c.img cloned from b.img\n'), printed)
    basin.write('d.xml', VOLUME.replace('a.img', 'd.img'))
    printed = optional(basin, 'create_from', 'vol-create-from', 'vms', 'd.xml', 'b.img')
    true(printed is None or printed.startswith('Vol d.img created from input vol b.img\n'), printed)
    printed = optional(basin, 'rename_volume', 'vol-rename', 'b.img', 'e.img', '--pool', 'vms')
    equal(printed in (None, 'Vol b.img renamed to e.img\n\n'), True, printed)
    last = 'b.img' if printed is None else 'e.img'
    basin.write('content', 'content')
    optional(basin, 'upload', 'vol-upload', last, 'content', '--pool', 'vms')
    if optional(basin, 'download', 'vol-download', last, 'copy', '--pool', 'vms', '--length', '7') is not None:
        with open(basin.path('copy'), encoding='utf-8') as file:
            equal(file.read(), 'content')
    else:
        true(not os.path.exists(basin.path('copy')), 'a failed download left its file')
    basin.fails(3, 'vol-upload-status', 'new.img', 'vms')
    true(basin.run('vol-upload-discard', 'new.img', 'vms').status in (3, 8), 'nothing was discarded')
    printed = optional(basin, 'wipe_volume', 'vol-wipe', last, '--pool', 'vms')
    equal(printed in (None, f'Vol {last} wiped\n\n'), True, printed)
    image = 'raw' if 'snapshots' not in basin.capabilities() else 'qcow2'
    basin.ok('vol-create-as', 'vms', 's.img', '1M', '--format', image)
    for verb, outcome in (('create', 'created'), ('revert', 'reverted to'), ('delete', 'deleted')):
        printed = optional(basin, 'snapshots', f'vol-snapshot-{verb}', 's.img', 'before', '--pool', 'vms')
        equal(printed in (None, f'Snapshot before of vol s.img {outcome}\n\n'), True, printed)
        printed = optional(basin, 'snapshots', 'vol-snapshot-list', 's.img', '--pool', 'vms', '--name')
        equal(printed in (None, '\n' if verb == 'delete' else 'before\n\n'), True, printed)
    for blockers in (('pool-blockers', 'vms'), ('vol-blockers', last, 'vms')):
        result = basin.run(*blockers)
        true(result.status in (0, 8), f'{blockers}: {result}')
    equal(basin.ok('vol-delete', 'a.img', '--pool', 'vms'), 'Vol a.img deleted\n\n')
    true(not os.path.exists(basin.path('vms/a.img')), 'vol-delete left the file')
    for name in basin.ok('-q', 'vol-names', 'vms').splitlines():
        basin.ok('vol-delete', name, 'vms')


def edit(basin):
    editor = {'EDITOR': 'sed -i s/mode_is/mode_is/', 'VISUAL': ''}
    equal(basin.ok('pool-edit', 'vms', env=editor), 'Pool vms XML configuration not changed.\n\n')
    add_mode = r'sed -i "s,</path>,</path><permissions><mode>0700</mode></permissions>,"'
    basin.write('edit', f'#!/bin/sh\n{add_mode} "$1"\n')
    os.chmod(basin.path('edit'), 0o755)
    equal(basin.ok('pool-edit', 'vms', env={'EDITOR': basin.path('edit'), 'VISUAL': ''}),
          'Pool vms XML configuration edited.\n\n')
    true('<mode>0700</mode>' in basin.ok('pool-dumpxml', 'vms', '--inactive'), 'the edit did not arrive')
    breaking = {'VISUAL': 'sed -i s/target/tarpit/'}
    true('target path is missing' in basin.fails(7, 'pool-edit', 'vms', env=breaking), 'a broken edit is not named')


def events(basin):
    basin.used.add('pool-event')
    with subprocess.Popen(basin.argv('pool-event', '--all', '--loop', '--timeout', '100'), stdout=subprocess.PIPE,
                          cwd=basin.directory, env=basin.environment) as listener:
        text = b''
        while not text:  # until the listener listens
            basin.ok('pool-refresh', 'vms')
            if select.select([listener.stdout], [], [], 0.2)[0]:
                text = os.read(listener.stdout.fileno(), 65536)
        basin.ok('vol-create-as', 'vms', 'e.img', '1M')
        basin.ok('vol-delete', 'e.img', 'vms')
        basin.ok('pool-destroy', 'vms')
        while b'Stopped' not in text:
            more = os.read(listener.stdout.fileno(), 65536)
            true(more, f'the listener ended early: {text}')
            text += more
        listener.send_signal(signal.SIGINT)
        text += listener.stdout.read()
    lines = text.decode().splitlines()
    others = [line for line in lines if line != "event 'refresh' for storage pool vms"]
    equal(others[:3], ["event 'volume' for storage pool vms volume e.img: Created",
                       "event 'volume' for storage pool vms volume e.img: Deleted",
                       "event 'lifecycle' for storage pool vms: Stopped"])
    equal(others[3:], ['event loop interrupted', f'events received: {len(lines) - 3}', ''])
    equal(listener.returncode, 0)


def hold(basin):
    basin.used.add('pool-hold')
    with subprocess.Popen(basin.argv('pool-hold', 'vms'), stdout=subprocess.PIPE, cwd=basin.directory,
                          env=basin.environment) as holder:
        equal(holder.stdout.readline(), b'Pool vms held\n')
        true(f'process {holder.pid}' in basin.fails(4, 'pool-destroy', 'vms'), 'the holder is not named')
        holder.send_signal(signal.SIGTERM)
        equal(holder.stdout.read(), b'Pool vms stopped\n\n')
    equal(holder.returncode, 0)
    equal(basin.ok('-q', 'pool-list', '--inactive', '--name'), 'vms\n')


def forget(basin):
    equal(basin.ok('pool-delete', 'vms'), 'Pool vms deleted\n\n')
    true(not os.path.exists(basin.path('vms')), 'pool-delete left the directory')
    equal(basin.ok('pool-undefine', 'vms'), 'Pool vms has been undefined\n\n')
    equal(basin.ok('-q', 'pool-list', '--all'), '')


def transient(basin):
    basin.write('t.xml', POOL.format(directory=basin.directory))
    equal(basin.ok('pool-create', 't.xml', '--build'), 'Pool vms created from t.xml\n\n')
    equal(basin.ok('-q', 'pool-list', '--transient', '--name'), 'vms\n')
    basin.ok('pool-destroy', 'vms')
    equal(basin.ok('-q', 'pool-list', '--all', '--name'), '')
    equal(basin.ok('pool-create-as', 'x', 'dir', '--target', basin.path('x'), '--build'), 'Pool x created\n\n')
    basin.ok('pool-destroy', 'x')
    # Dashes are virsh's idiom for source parts that a dir pool has not.
    equal(basin.ok('pool-define-as', 'y', 'dir', '-', '-', '-', '-', basin.path('y')), 'Pool y defined\n\n')
    basin.ok('pool-undefine', 'y')
    xml = basin.ok('pool-define-as', 'a&b', 'netfs', '--source-host', '<h>', '--source-path', "/p'q", '--target', '/mnt/"t"',
                   '--source-format', 'nfs', '--print-xml')
    for part in ('<name>a&amp;b</name>', "<host name='&lt;h&gt;'/>", "<format type='nfs'/>"):
        true(part in xml, xml)


def general(basin):
    true(basin.ok('version').startswith('basin '), 'version')
    true(basin.ok('--version').startswith('basin '), '--version')
    true("<pool type='dir' supported='yes'>" in basin.ok('pool-capabilities'), 'pool-capabilities')
    true('"$schema"' in basin.ok('json-schema'), 'json-schema')
    true('Operation' in basin.ok('recover'), 'recover')
    equal(basin.ok('explain-access', basin.directory, os.getuid(), '--group', os.getgid(), '--mode', 'rx'),
          'Allowed:        yes\n\n')
    basin.fails(8, 'find-storage-pool-sources', 'dir')
    basin.fails(8, 'find-storage-pool-sources-as', 'dir', '--host', 'localhost')
    for name, verb in basin.verbs().items():
        for text in (basin.ok('help', name), basin.ok(name, '--help')):
            true(verb['summary'] in text and verb['example'] in text, text)
        true(f'\n  {name} ' in basin.ok('--help'), f'basin --help does not name {name}')


def every_verb_works_from_definition_to_undefine(basin):
    for part in (define_and_start, look_at_pool, make_volumes, look_at_volume, change_volume, edit, events, hold, forget,
                 transient, general):
        part(basin)
    equal(set(basin.verbs()) - basin.used, set(), 'verbs that no line of this test runs')


def names_in_utf_8_keep_the_columns_straight(basin):
    basin.define_vms()
    basin.ok('vol-create-as', 'vms', 'größe.img', '1M', '--allocation', '0')
    basin.ok('vol-create-as', 'vms', '日本.img', '1M', '--allocation', '0')
    rows = basin.ok('-q', 'vol-list', 'vms').splitlines()
    equal([row[:row.index('/')] for row in rows], [' größe.img   ', ' 日本.img    '])


main([every_verb_works_from_definition_to_undefine, names_in_utf_8_keep_the_columns_straight])
