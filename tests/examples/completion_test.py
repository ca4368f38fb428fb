# SPDX-License-Identifier: LGPL-2.1-or-later
# The bash completion, asked as bash asks it.
import os
import shutil
import subprocess

from command import Skip, equal, main, true

SCRIPT = r'''
source "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_basin
printf '%s\n' "${COMPREPLY[@]}"
'''


def complete(basin, *words, root=True, env=None):
    if not shutil.which('bash'):
        raise Skip('no bash')
    line = [basin.program, *(['--root', basin.root] if root else []), *words]
    done = subprocess.run(['bash', '--norc', '-c', SCRIPT, 'bash', f'{basin.source}/examples/basin/completion/basin', *line],
                          capture_output=True, text=True, cwd=basin.directory, env={**basin.environment, **(env or {})},
                          timeout=60, check=False)
    equal((done.returncode, done.stderr), (0, ''))
    return [word for word in done.stdout.split('\n') if word]


def verbs_are_completed(basin):
    equal(set(complete(basin, '')), set(basin.verbs()))
    equal(complete(basin, 'pool-auto'), ['pool-autostart', 'pool-autostart-all'])
    equal(complete(basin, '--json', 'pool-und'), ['pool-undefine'])
    equal(complete(basin, 'help', 'vol-clo'), ['vol-clone'])


def options_are_completed(basin):
    for name, verb in basin.verbs().items():
        offered = set(complete(basin, name, '--'))
        equal({'--' + option['name'] for option in verb['options']} - offered, set(), name)
        true('--dry-run' in offered, name)
    equal(complete(basin, '--dr'), ['--dry-run'])


def pools_are_completed(basin):
    basin.define_vms()
    basin.ok('pool-define-as', 'with space', 'dir', '--target', '/nowhere')
    equal(complete(basin, 'pool-info', ''), ['vms', r'with\ space'])
    equal(complete(basin, 'pool-info', '--pool', 'v'), ['vms'])
    equal(complete(basin, 'pool-info', 'vms', ''), [])
    equal(complete(basin, 'vol-create-as', 'v'), ['vms'])
    equal(complete(basin, 'vol-create-as', 'vms', ''), [])


def the_root_is_honoured(basin):
    basin.define_vms()
    equal(complete(basin, '--root', '=', basin.root, 'pool-info', '', root=False), ['vms'])
    equal(complete(basin, 'pool-info', '', root=False, env={'BASIN_ROOT': basin.root}), ['vms'])
    equal(complete(basin, 'pool-info', '', root=False, env={'BASIN_ROOT': basin.path('other')}), [])
    true(not os.path.exists(basin.path('other')), 'completion made a directory')


def volumes_are_completed(basin):
    basin.define_vms()
    for name in ('a.img', 'a b.img', 'c.img'):
        basin.ok('vol-create-as', 'vms', name, '1M', '--allocation', '0')
    equal(complete(basin, 'vol-info', '--pool', 'vms', 'a'), [r'a\ b.img', 'a.img'])
    equal(complete(basin, 'vol-info', '--pool', 'vms', '--vol', 'c'), ['c.img'])
    equal(complete(basin, 'vol-info', '--pool', '=', 'vms', 'c'), ['c.img'])
    equal(complete(basin, 'vol-info', basin.path('vms/c')), [basin.path('vms/c.img')])
    equal(complete(basin, 'vol-create-from', 'vms', 'x.xml', 'c'), ['c.img'])
    equal(complete(basin, 'vol-info', 'a.img', 'v'), ['vms'])


def what_is_quoted_on_the_line_is_understood(basin):
    basin.ok('pool-create-as', 'my "own" pool', 'dir', '--target', basin.path('mine'), '--build')
    basin.ok('vol-create-as', 'my "own" pool', 'a b.img', '1M', '--allocation', '0')
    for quoted in (r'my\ \"own\"\ pool', "'my \"own\" pool'", r'"my \"own\" pool"', "my' \"own\" 'pool"):
        equal(complete(basin, 'vol-info', '--pool', quoted, 'a'), [r'a\ b.img'], quoted)
    equal(complete(basin, 'pool-info', r'my\ \"o'), [r'my\ \"own\"\ pool'])
    equal(complete(basin, 'pool-info', "'my "), ['my "own" pool'])
    equal(complete(basin, 'vol-info', '--pool', '"my \\"own\\" pool"', '"a b'), ['a b.img'])
    equal(complete(basin, '--root', '~/root', 'pool-info', 'm', root=False, env={'HOME': basin.directory}),
          [r'my\ \"own\"\ pool'])


def values_of_fixed_sets_are_completed(basin):
    basin.write('some.xml', '')
    equal(complete(basin, 'pool-define-as', 'x', 'iscsi'), ['iscsi', 'iscsi-direct'])
    equal(complete(basin, 'vol-wipe', '--algorithm', 'pfitz'), ['pfitzner7', 'pfitzner33'])
    equal(complete(basin, 'vol-create', '--prealloc', 'f'), ['falloc', 'full'])
    equal(complete(basin, 'vol-delete', '--allow', 'back'), ['backing_image'])
    equal(complete(basin, 'vol-delete', '--allow', 'open', '--allow', 'h'), ['holder'])
    equal(complete(basin, 'vol-delete', '--allow', 'open,mounted,'),
          ['open,mounted,backing_image', 'open,mounted,loop_device', 'open,mounted,snapshot', 'open,mounted,holder',
           'open,mounted,volume'])
    equal(complete(basin, 'vol-delete', '--allow', '"open,ho'), ['open,holder'])
    equal(complete(basin, 'vol-delete', '--allow', '=', 'open,ho'), ['open,holder'])
    equal(complete(basin, 'pool-list', '--type', 'dir,is'), ['dir,iscsi', 'dir,iscsi-direct'])
    equal(complete(basin, 'pool-define-as', 'x', 'dir,is'), [])  # takes one
    equal(complete(basin, 'pool-event', '--event', 'li'), ['lifecycle'])
    equal(complete(basin, 'pool-define', 'so'), ['some.xml'])
    equal(complete(basin, '--root', 'ro', root=False), [])


main([verbs_are_completed, options_are_completed, pools_are_completed, the_root_is_honoured, volumes_are_completed,
      what_is_quoted_on_the_line_is_understood, values_of_fixed_sets_are_completed])
