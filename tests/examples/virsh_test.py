# SPDX-License-Identifier: LGPL-2.1-or-later
# The same definitions through virsh's test driver and through basin: the same tables and messages.
import re
import shutil
import subprocess

from command import Skip, equal, main, true

SIZE = re.compile(r'[0-9]+\.[0-9]{2} ([KMGTPE]i)?B')


def virsh(basin, *commands):
    """What virsh prints for the last of the commands; the driver forgets everything between processes."""
    if not shutil.which('virsh'):
        raise Skip('no virsh (Debian: libvirt-clients)')
    outputs = []
    for end in (len(commands) - 1, len(commands)):
        done = subprocess.run(['virsh', '-c', 'test:///default', '; '.join(['pool-destroy default-pool',
                                                                            'pool-undefine default-pool', *commands[:end]])],
                              capture_output=True, text=True, cwd=basin.directory, env=basin.environment, check=False)
        equal((done.returncode, done.stderr), (0, ''), commands)
        outputs.append(done.stdout)
    return outputs[1][len(outputs[0]):]


def prepare(basin):
    """Definitions, and the virsh commands that bring its driver to the state that basin's pool is in."""
    xml = basin.write('vms.xml', f"<pool type='dir'><name>vms</name><uuid>11111111-2222-3333-4444-555555555555</uuid>"
                      f"<target><path>{basin.path('vms')}</path></target></pool>")
    basin.write('a.xml', "<volume><name>a.img</name><capacity unit='GiB'>10</capacity><allocation>0</allocation></volume>")
    for arguments in (['pool-define', xml], ['pool-build', 'vms'], ['pool-start', 'vms'], ['vol-create', 'vms', 'a.xml'],
                      ['vol-create-as', 'vms', 'longer-name.img', '1M', '--allocation', '4K']):
        basin.ok(*arguments)
    return [f'pool-define {xml}', 'pool-build vms', 'pool-start vms', 'vol-create vms a.xml',
            'vol-create-as vms longer-name.img 1M --allocation 4K']


def same(basin, before, command):
    equal(basin.ok(*command.split()), virsh(basin, *before, command), command)


def messages_are_virsh_s(basin):
    xml = basin.write('vms.xml', f"<pool type='dir'><name>vms</name><target><path>{basin.path('vms')}</path></target></pool>")
    basin.write('a.xml', '<volume><name>a.img</name><capacity>4096</capacity></volume>')
    done = []
    for command in (f'pool-define {xml}', 'pool-build vms', 'pool-start vms', 'pool-autostart vms',
                    'pool-autostart vms --disable', 'pool-refresh vms', 'vol-create vms a.xml',
                    'vol-create-as vms b.img 1K', 'vol-path a.img vms', 'vol-key a.img vms',
                    f'vol-name {basin.path("vms/a.img")}', f'vol-pool {basin.path("vms/a.img")}',
                    'vol-delete a.img vms', 'vol-delete --vol b.img --pool vms', 'pool-destroy vms', 'pool-delete vms',
                    'pool-undefine vms', f'pool-define-as y dir - - - - {basin.path("y")}'):
        same(basin, done, command)
        done.append(command)


def lists_of_pools_are_virsh_s(basin):
    before = prepare(basin)
    for command in ('pool-list', 'pool-list --all', 'pool-list --inactive', 'pool-list --transient', 'pool-list --uuid',
                    'pool-list --autostart', 'pool-list --persistent --no-autostart', 'pool-uuid vms',
                    'pool-name 11111111-2222-3333-4444-555555555555'):
        same(basin, before, command)
    equal(basin.ok('pool-list', '--name').split(), virsh(basin, *before, 'pool-list --name').split())
    before.append('pool-destroy vms')
    basin.ok('pool-destroy', 'vms')
    for command in ('pool-list --all', 'pool-list --all --details', 'pool-info vms', 'pool-info vms --bytes'):
        same(basin, before, command)


def volumes_are_virsh_s(basin):
    before = prepare(basin)
    for command in ('vol-list vms', 'vol-list vms --details', 'vol-info a.img vms', 'vol-info a.img vms --bytes',
                    'vol-info longer-name.img --pool vms'):
        same(basin, before, command)


def sizes_of_a_running_pool_differ_in_nothing_but_the_numbers(basin):
    before = prepare(basin)

    def shape(text):
        """The cells without sizes; and the padding, which depends on them."""
        return [re.split(r'  +', SIZE.sub('SIZE', line.strip().strip('-'))) for line in text.splitlines()]

    for command in ('pool-info vms', 'pool-list --details'):
        equal(shape(basin.ok(*command.split())), shape(virsh(basin, *before, command)), command)


def parts_of_xml_are_virsh_s(basin):
    before = prepare(basin)
    for expression in ('/pool/name', '/pool/name/text()', '/pool/@type', '/pool/source', 'uuid', '//name|/pool/@type', '/nosuch'):
        same(basin, before, f'pool-dumpxml vms --xpath {expression}')
        same(basin, before, f'pool-dumpxml vms --wrap --xpath {expression}')
    for expression in ('/volume/name', '//capacity', '/volume/target/path/text()', '//format/@type'):
        same(basin, before, f'vol-dumpxml a.img vms --xpath={expression}')
    odd = basin.write('odd.xml', "<pool type='fs'><name>odd</name><source><device path='/a />b'/><vendor name='c\" /'/></source>"
                      "<target><path>/t \" /</path></target></pool>")
    basin.ok('pool-define', odd)
    for expression in ('//device', '/pool/source', '//path'):
        same(basin, [f'pool-define {odd}'], f'pool-dumpxml odd --xpath {expression}')
    equal(basin.ok('-q', 'pool-dumpxml', 'vms', '--xpath', 'concat(name, "<", count(//path))'), 'vms<1\n')
    equal(basin.ok('-q', 'pool-dumpxml', 'vms', '--xpath', 'count(//path)', '--wrap'), '<nodes>1</nodes>\n')
    for expression in ('///', 'nosuch()', '/pool['):
        true(f"--xpath '{expression}': " in basin.fails(2, 'pool-dumpxml', 'vms', '--xpath', expression), expression)


def what_would_be_defined_is_virsh_s(basin):
    host, target = '--source-host h', '--target /t'
    hba = '--adapter-wwnn 5001a4a93526d0a1 --adapter-wwpn 5001a4ace3ee047d'
    iqn = 'iqn.2020-01.org.x:y'
    for options in (f'dir {target}', f'fs --source-dev /dev/sdb1 {target} --source-format ext4',
                    f'netfs {host} --source-path /srv {target} --source-format nfs --source-protocol-ver 4.1',
                    f'netfs {host} --source-path srv {target} --source-format cifs',
                    'disk --source-dev /dev/sdb --target /dev --source-format gpt',
                    f'iscsi {host} --source-dev {iqn} {target} --auth-type chap --auth-username u --secret-usage s',
                    f'iscsi {host} --source-dev {iqn} {target} --auth-type chap --auth-username u '
                    '--secret-uuid 11111111-2222-3333-4444-555555555555',
                    f'iscsi-direct {host} --source-dev {iqn} --source-initiator {iqn}1',
                    f'scsi --adapter-name scsi_host1 {target}', f'scsi {hba} --adapter-parent scsi_host3 {target}',
                    f'scsi {hba} --adapter-parent-wwnn 5001a4a93526d0a2 --adapter-parent-wwpn 5001a4a93526d0a3 {target}',
                    f'scsi {hba} --adapter-parent-fabric-wwn 5001a4a93526d0a2 {target}', f'mpath {target}',
                    f'sheepdog {host} --source-name n', f'gluster {host} --source-name v --source-path /', 'zfs --source-name z',
                    f'vstorage --source-name c {target}'):
        for verb in ('pool-define-as', 'pool-create-as'):
            same(basin, [], f'{verb} p {options} --print-xml')
    # Where libvirt's pool-dumpxml and virsh have another order, ours is the former.
    for options in ('logical --source-name vg --source-dev /dev/sdb --target /dev/vg --source-format lvm2',
                    f'rbd {host} --source-name rp --auth-type ceph --auth-username admin --secret-usage s'):
        command = f'pool-define-as p {options} --print-xml'
        equal(sorted(basin.ok(*command.split()).splitlines()), sorted(virsh(basin, command).splitlines()))
    # What is not given has its default, where virsh leaves that to libvirt.
    ours = basin.ok('pool-define-as', 'p', 'fs', '--source-dev', '/dev/sdb1', '--target', '/t', '--print-xml')
    equal(ours.replace("    <format type='auto'/>\n", ''),
          virsh(basin, 'pool-define-as p fs --source-dev /dev/sdb1 --target /t --print-xml'))
    before = prepare(basin)
    for options in ('v 1M --allocation 0', 'v 1G --allocation 1M --format qcow2',
                    f'v 1G --allocation 0 --format qcow2 --backing-vol {basin.path("vms/a.img")} --backing-vol-format raw'):
        command = f'vol-create-as vms {options} --print-xml'
        equal(basin.ok(*command.split()).replace(" unit='bytes'", ''), virsh(basin, *before, command), command)


def options_of_every_verb_include_virsh_s(basin):
    for name, verb in basin.verbs().items():
        if not name.startswith(('pool-', 'vol-', 'find-')):
            continue
        done = subprocess.run(['virsh', 'help', name], capture_output=True, text=True, check=False) \
            if shutil.which('virsh') else None
        if done is None:
            raise Skip('no virsh (Debian: libvirt-clients)')
        if done.returncode != 0:
            continue  # basin's own
        theirs = set(re.findall(r'--[a-zA-Z-]+', done.stdout.split('OPTIONS')[-1])) if 'OPTIONS' in done.stdout else set()
        ours = {'--' + option['name'] for option in verb['options']}
        equal({option for option in theirs if option.strip('-')} - ours, set(), name)


main([messages_are_virsh_s, lists_of_pools_are_virsh_s, volumes_are_virsh_s,
      sizes_of_a_running_pool_differ_in_nothing_but_the_numbers, parts_of_xml_are_virsh_s,
      what_would_be_defined_is_virsh_s, options_of_every_verb_include_virsh_s])
