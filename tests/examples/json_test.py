# SPDX-License-Identifier: LGPL-2.1-or-later
# Every verb with --json: one document on standard output, or one error document on standard error.
import json
import os
import signal
import subprocess

from command import equal, main, true

VOLUME = '<volume><name>{name}</name><capacity>1048576</capacity><allocation>0</allocation></volume>'


# The schema's definition of what a verb prints; "outcome" for all others.
PRINTS = {
    'explain-access': 'access_answer', 'find-storage-pool-sources': 'pool', 'find-storage-pool-sources-as': 'pool',
    'help': 'verb', 'image-inspect': 'image', 'pool-autostart-all': 'autostart_result', 'pool-blockers': 'blocker',
    'pool-capabilities': 'backend', 'pool-diagnostics': 'diagnostic', 'pool-dumpxml': 'dump', 'pool-event': 'event',
    'pool-info': 'listed_pool', 'pool-list': 'listed_pool', 'pool-identity': 'identity', 'pool-name': 'identity', 'pool-uuid': 'identity',
    'recover': 'recovery', 'version': 'version', 'vol-blockers': 'blocker', 'vol-chain': 'chain_link',
    'vol-dependents': 'identity', 'vol-dumpxml': 'dump', 'vol-identity': 'identity', 'vol-info': 'listed_volume',
    'vol-inspect': 'image', 'vol-key': 'identity', 'vol-list': 'listed_volume', 'vol-metadata': 'metadata_entry',
    'vol-name': 'identity', 'vol-path': 'identity', 'vol-pool': 'identity', 'vol-snapshot-list': 'snapshot',
    'vol-upload-status': 'partial_upload',
}


def document(basin, *arguments, **options):
    """What a verb prints, whether this version can do it or not; never both documents, never neither."""
    result = basin.run('--json', *arguments, **options)
    if result.status == 0:
        equal(result.err, '', arguments)
        value = json.loads(result.out)
        if arguments[0] not in ('json-schema', 'vol-names') and arguments[-1] != '--list':
            kind = 'dump' if '--print-xml' in arguments else PRINTS.get(arguments[0], 'outcome')
            basin.follows_schema(kind, value)
        return value
    equal(result.out, '', arguments)
    failure = json.loads(result.err)
    basin.follows_schema('failure', failure)
    equal((failure['error']['code'], failure['exit'], result.status), ('not_supported', 8, 8), f'{arguments}: {result}')
    return failure['error']


def pools(basin):
    path = basin.path('vms')
    basin.write('vms.xml', f"<pool type='dir'><name>vms</name><wrong/><target><path>{path}</path></target></pool>")
    defined = document(basin, 'pool-define', 'vms.xml')
    equal((defined['name'], defined['message']), ('vms', 'Pool vms defined from vms.xml'))
    true(len(defined['warnings']) == 1 and 'wrong' in defined['warnings'][0], defined)
    equal(document(basin, 'pool-build', 'vms')['name'], 'vms')
    document(basin, 'pool-autostart', 'vms')
    equal(document(basin, 'pool-autostart-all'), [{'name': 'vms', 'started': True}])
    document(basin, 'pool-destroy', 'vms')
    basin.used.add('pool-hold')
    with subprocess.Popen(basin.argv('--json', 'pool-hold', 'vms'), stdout=subprocess.PIPE, cwd=basin.directory,
                          env=basin.environment) as holder:
        text = holder.stdout.read(1)
        holder.send_signal(signal.SIGTERM)
        equal(json.loads(text + holder.stdout.read())['name'], 'vms')
    document(basin, 'pool-start', 'vms')
    document(basin, 'pool-refresh', 'vms')
    info = document(basin, 'pool-info', 'vms')
    listed = document(basin, 'pool-list')
    equal([sorted(one) for one in listed], [sorted(info)])
    equal((info['name'], info['uuid'], info['type'], info['state']), ('vms', defined['uuid'], 'dir', 'running'))
    true(info['capacity'] >= info['available'] > 0 and info['persistent'] and info['autostart'], info)
    equal(document(basin, 'pool-name', 'vms'), {'name': 'vms', 'uuid': defined['uuid']})
    equal(document(basin, 'pool-uuid', 'vms'), {'name': 'vms', 'uuid': defined['uuid']})
    dumped = document(basin, 'pool-dumpxml', 'vms')
    equal((dumped['definition']['target']['path'], '<name>vms</name>' in dumped['xml']), (path, True))
    equal(document(basin, 'pool-dumpxml', 'vms', '--xpath', '//name|//path')['selected'],
          ['<name>vms</name>', f'<path>{path}</path>'])
    equal(document(basin, 'pool-diagnostics', 'vms'), [])
    document(basin, 'pool-blockers', 'vms')
    equal(document(basin, 'pool-edit', 'vms', env={'VISUAL': 'true'})['changed'], False)
    events = document(basin, 'pool-event', '--list')
    true('lifecycle' in events, events)


def volumes(basin):
    basin.write('a.xml', VOLUME.format(name='a.img'))
    equal(document(basin, 'vol-create', 'vms', 'a.xml'),
          {'name': 'a.img', 'pool': 'vms', 'message': 'Vol a.img created from a.xml'})
    document(basin, 'vol-create-as', 'vms', 'b "q".img', '1M', '--allocation', '0')
    entries = document(basin, 'vol-list', 'vms')
    equal([entry['name'] for entry in entries], ['a.img', 'b "q".img'])
    detailed = document(basin, 'vol-list', 'vms', '--details')
    equal([one['capacity'] for one in detailed], [1048576, 1048576])
    equal(document(basin, 'vol-names', 'vms'), ['a.img', 'b "q".img'])
    info = document(basin, 'vol-info', 'a.img', 'vms')
    equal((info['name'], info['type'], info['capacity'], info['allocation']), ('a.img', 'file', 1048576, 0))
    path = basin.path('vms/a.img')
    equal(document(basin, 'vol-path', 'a.img', 'vms'), {'name': 'a.img', 'pool': 'vms', 'path': path})
    equal(document(basin, 'vol-key', 'a.img', 'vms')['key'], entries[0]['key'])
    true(document(basin, 'vol-identity', 'a.img', 'vms')['identity'], 'no identity')
    true(document(basin, 'pool-identity', 'vms')['identity'], 'no identity')
    equal(document(basin, 'vol-name', path), {'name': 'a.img', 'pool': 'vms'})
    equal(document(basin, 'vol-pool', path)['name'], 'vms')
    equal(document(basin, 'vol-dumpxml', 'a.img', 'vms')['definition']['capacity'], 1048576)
    equal(document(basin, 'vol-inspect', 'a.img', 'vms')['format'], 'raw')
    equal(document(basin, 'image-inspect', path)['virtual_size'], 1048576)
    document(basin, 'vol-refresh', 'a.img', 'vms')
    blockers = document(basin, 'vol-blockers', 'a.img', 'vms')
    true(blockers == [] or 'code' in blockers, blockers)
    chain = document(basin, 'vol-chain', 'a.img', 'vms')
    if isinstance(chain, list):
        equal([(link['volume_name'], link['state']) for link in chain], [('a.img', 'ok')])
        equal(document(basin, 'vol-dependents', 'a.img', 'vms'), [])
    else:
        document(basin, 'vol-dependents', 'a.img', 'vms')
    equal(document(basin, 'vol-dumpxml', 'a.img', 'vms', '--chain')['definition']['name'], 'a.img')


def changes(basin):
    document(basin, 'vol-resize', 'a.img', '2M', 'vms')
    clone = document(basin, 'vol-clone', 'a.img', 'c.img', 'vms')
    equal((clone['name'], clone['message']), ('c.img', 'Vol c.img cloned from a.img'))
    if 'facts' in clone:
        true(clone['facts']['method'], clone)
    basin.write('d.xml', VOLUME.format(name='d.img'))
    document(basin, 'vol-create-from', 'vms', 'd.xml', 'a.img')
    document(basin, 'vol-upload', 'a.img', 'd.xml', 'vms')
    document(basin, 'vol-download', 'a.img', 'out', 'vms')
    equal(basin.json_error(3, 'vol-upload-status', 'new.img', 'vms')['code'], 'not_found')
    true(basin.run('--json', 'vol-upload-discard', 'new.img', 'vms').status in (3, 8), 'nothing was discarded')
    document(basin, 'vol-wipe', 'a.img', 'vms')
    kept = 'snapshots' in basin.capabilities()
    image = document(basin, 'vol-create-as', 'vms', 's.img', '1M', '--format', 'qcow2' if kept else 'raw')['name']
    for verb in ('create', 'revert', 'delete'):
        document(basin, f'vol-snapshot-{verb}', image, 'before', 'vms')
        listed = document(basin, 'vol-snapshot-list', image, 'vms')
        if kept:
            equal([one['name'] for one in listed], [] if verb == 'delete' else ['before'])
    document(basin, 'vol-snapshot-protect', image, 'before', 'vms')
    document(basin, 'vol-metadata', image, 'vms')
    if kept:
        document(basin, 'vol-clone', 'a.img', 'f.img', 'vms', '--linked')
    flattened = document(basin, 'vol-flatten', 'f.img' if kept else image, 'vms')
    equal(flattened.get('name'), 'f.img' if kept else None)
    document(basin, 'vol-rename', 'a.img', 'z.img', 'vms')
    for name in document(basin, 'vol-names', 'vms'):
        equal(document(basin, 'vol-delete', name, 'vms')['name'], name)


def end(basin):
    document(basin, 'pool-destroy', 'vms')
    document(basin, 'pool-delete', 'vms')
    document(basin, 'pool-undefine', 'vms')
    equal(document(basin, 'pool-list', '--all'), [])
    equal(document(basin, 'pool-define-as', 'x', 'dir', '--target', '/x', '--print-xml')['definition']['type'], 'dir')
    document(basin, 'pool-create-as', 'x', 'dir', '--target', basin.path('x'), '--build')
    document(basin, 'pool-destroy', 'x')
    basin.write('t.xml', f"<pool type='dir'><name>t</name><target><path>{basin.path('t')}</path></target></pool>")
    document(basin, 'pool-create', 't.xml', '--build')


def general(basin):
    equal(list(document(basin, 'version')), ['version'])
    equal(document(basin, 'recover'), [])
    allowed = document(basin, 'explain-access', basin.directory, str(os.getuid()), '--group', str(os.getgid()))
    equal((allowed['path'], allowed['uid'], allowed['allowed']), (basin.directory, os.getuid(), True))
    true('$defs' in document(basin, 'json-schema'), 'json-schema')
    kinds = document(basin, 'pool-capabilities')
    equal(kinds[0]['type'], 'dir')
    true('create_volume' in kinds[0]['capabilities'], kinds[0])
    document(basin, 'find-storage-pool-sources', 'dir')
    document(basin, 'find-storage-pool-sources-as', 'dir')
    verbs = document(basin, 'help')
    equal([verb['name'] for verb in verbs], list(basin.verbs()))


def every_verb_prints_one_json_document(basin):
    for part in (pools, volumes, changes, end, general):
        part(basin)
    equal(set(basin.verbs()) - basin.used, set(), 'verbs that no line of this test runs')


def events_are_elements_of_one_array(basin):
    basin.define_vms()
    result = basin.run('--json', 'pool-event', 'vms', '--all', '--timeout', '0')
    equal((result.status, json.loads(result.out), result.err), (1, [], ''))
    result = basin.run('--json', '--timeout', '1', 'pool-event', '--all')  # of any verb, and would wait for ever
    equal((result.status, json.loads(result.out), result.err), (1, [], ''))


def a_dry_run_is_a_document_of_steps(basin):
    basin.define_vms(start=False)
    plan = basin.json('--dry-run', 'pool-build', 'vms')
    basin.follows_schema('plan', plan)
    equal((plan['dry_run'], plan['verb'], len(plan['steps'])), (True, 'pool-build', 1))
    equal((plan['steps'][0]['call'][0], plan['steps'][0]['destructive']), ('mkdir', False))
    true(not os.path.exists(basin.path('vms')), 'a dry run made the directory')


def errors_are_documents_on_standard_error(basin):
    missing = basin.json_error(3, 'pool-info', 'nosuch')
    equal((missing['code'], missing['number'], missing['retryable']), ('not_found', -3, False))
    true("'nosuch'" in missing['message'] and missing['remedy'], missing)
    for usage in (['pool-info'], ['pool-info', '--wrong'], ['nonsense'], []):
        equal(basin.json_error(2, *usage)['code'], 'invalid_argument')
    for verb in basin.verbs():
        equal(basin.json_error(2, verb, '--no-such-option')['code'], 'invalid_argument', verb)
    for word, kind in (('--version', 'version'), ('--help', 'help')):
        basin.follows_schema(kind, basin.json(word))


main([every_verb_prints_one_json_document, events_are_elements_of_one_array, a_dry_run_is_a_document_of_steps,
      errors_are_documents_on_standard_error])
