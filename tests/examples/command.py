# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs the basin command under a private root, and reports test cases as TAP.
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback

UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


class Skip(Exception):
    """Why a case cannot run here."""


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f'status {self.status}\n{self.out}{self.err}'


def violation(root, schema, value):
    """What the JSON Schema does not allow in the value, or None. Knows the keywords that basin.schema.json has."""
    known = {'$ref', 'description', 'type', 'enum', 'anyOf', 'minimum', 'maximum', 'items', 'properties', 'required',
             'additionalProperties'}
    true(set(schema) <= known, f'the keywords {set(schema) - known} are not checked')
    if '$ref' in schema:
        target = root
        for word in schema['$ref'].removeprefix('#/').split('/'):
            target = target[word]
        return violation(root, target, value)
    types = {'string': str, 'integer': int, 'boolean': bool, 'array': list, 'object': dict}
    if 'type' in schema and (not isinstance(value, types[schema['type']]) or
                             schema['type'] == 'integer' and isinstance(value, bool)):
        return f'{value!r} is no {schema["type"]}'
    if value not in schema.get('enum', [value]):
        return f'{value!r} is none of {schema["enum"]}'
    if 'anyOf' in schema and all(violation(root, one, value) for one in schema['anyOf']):
        return f'{value!r} is none of the alternatives'
    if 'minimum' in schema and value < schema['minimum'] or 'maximum' in schema and value > schema['maximum']:
        return f'{value!r} is out of range'
    found = [violation(root, schema['items'], one) for one in value] if 'items' in schema else []
    if schema.get('type') == 'object':
        found += [f'{name} is missing' for name in schema.get('required', []) if name not in value]
        for name, member in value.items():
            rule = schema['properties'].get(name, schema['additionalProperties'])
            found += [f'{name} is not known' if rule is False else violation(root, rule, member)]
    return next((one for one in found if one), None)


class Basin:
    """The command with its own --root; remembers which verbs were run."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.root = os.path.join(directory, 'root')
        self.used = set()
        self.schema = None
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith('BASIN_')}
        self.environment['LC_ALL'] = 'C.UTF-8'

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)
        return self.path(name)

    def argv(self, *arguments):
        return [self.program, '--root', self.root, *map(str, arguments)]

    def run(self, *arguments, **options):
        verb = next((word for word in arguments if not word.startswith('-')), None)
        self.used.add(verb)
        done = subprocess.run(self.argv(*arguments), capture_output=True, text=True, cwd=self.directory, timeout=120,
                              env={**self.environment, **options.pop('env', {})}, stdin=subprocess.DEVNULL, **options)
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments, **options):
        """The output of a run that must succeed and complain about nothing."""
        result = self.run(*arguments, **options)
        equal((result.status, result.err), (0, ''), f'{arguments}: {result}')
        return result.out

    def json(self, *arguments, **options):
        return json.loads(self.ok('--json', *arguments, **options))

    def fails(self, status, *arguments, **options):
        """The error text of a run that must fail like this and print no result."""
        result = self.run(*arguments, **options)
        equal((result.status, result.out), (status, ''), f'{arguments}: {result}')
        return result.err

    def json_error(self, status, *arguments):
        failure = json.loads(self.fails(status, '--json', *arguments))
        self.follows_schema('failure', failure)
        equal(failure['exit'], status, f'{arguments}: {failure}')
        return failure['error']

    def follows_schema(self, name, document):
        """The document, or each object of an array, is what the schema of that name says."""
        if not self.schema:
            self.schema = json.loads(self.ok('--json', 'json-schema'))
        for value in document if isinstance(document, list) else [document]:
            problem = violation(self.schema, self.schema['$defs'][name], value)
            true(not problem, f'{name}: {problem}: {value}')

    def normalised(self, text):
        text = UUID.sub('UUID', text.replace(self.directory, 'DIR'))
        return re.sub(r'[0-9]+\.[0-9]{2} [KMGTPE]iB', 'SIZE', text)

    def verbs(self):
        return {verb['name']: verb for verb in self.json('help')}

    def capabilities(self, pool_type='dir'):
        return next(one for one in self.json('pool-capabilities') if one['type'] == pool_type)['capabilities']

    def define_vms(self, start=True):
        """The pool that most cases work on."""
        self.write('vms.xml', f"<pool type='dir'><name>vms</name><target><path>{self.path('vms')}</path></target></pool>")
        self.ok('pool-define', 'vms.xml')
        if start:
            self.ok('pool-start', 'vms', '--build')


def equal(actual, expected, note=''):
    if actual != expected:
        raise AssertionError(f'{note}\n  is       {actual!r}\n  expected {expected!r}')


def true(condition, note):
    if not condition:
        raise AssertionError(note)


def tree(directory):
    """Everything below a directory: path, type, size, time of change and content."""
    found = {}
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            content = ''
            if name in files and not os.path.islink(path):
                with open(path, 'rb') as file:
                    content = file.read(4096)
            found[path] = (status.st_mode, status.st_size if name in files else 0, status.st_mtime_ns, content)
    return found


def main(cases):
    """Runs the cases, each in its own directory, and prints TAP. argv: the command, the source directory."""
    program, source = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    print(f'1..{len(cases)}')
    failed = False
    for number, case in enumerate(cases, 1):
        name = case.__name__.replace('_', ' ')
        with tempfile.TemporaryDirectory(prefix='basin-test-') as directory:
            basin = Basin(program, os.path.realpath(directory))
            basin.source = source
            try:
                case(basin)
                print(f'ok {number} - {name}')
            except Skip as why:
                print(f'ok {number} - {name} # SKIP {why}')
            except Exception:
                failed = True
                print(f'not ok {number} - {name}')
                for line in traceback.format_exc().splitlines():
                    print(f'# {line}')
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
