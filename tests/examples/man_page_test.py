# SPDX-License-Identifier: LGPL-2.1-or-later
# The man page describes the verbs, options and exit statuses that the command has, and is well-formed.
import os
import re
import shutil
import subprocess

from command import Skip, equal, main, true


def page(basin):
    with open(f'{basin.source}/examples/basin/basin.1', encoding='utf-8') as file:
        return file.read()


def sections(basin):
    """The page's text for each verb: what follows `.SS NAME`."""
    parts = re.split(r'^\.SS "?([^"\n]+)"?$', page(basin), flags=re.MULTILINE)
    return {name: re.split(r'^\.SH ', text, flags=re.MULTILINE)[0] for name, text in zip(parts[1::2], parts[2::2])}


def plain(text):
    return text.replace(r'\-', '-')


def every_verb_has_a_section_and_every_section_a_verb(basin):
    equal(sorted(plain(name) for name in sections(basin)), sorted(basin.verbs()))


def every_option_of_a_verb_is_in_its_section(basin):
    described = {plain(name): plain(text) for name, text in sections(basin).items()}
    for name, verb in basin.verbs().items():
        for option in verb['options']:
            shown = option['name'].upper() if option['required'] else '--' + option['name']
            true(shown in described[name], f'{name}: {shown} is not described')


def every_global_option_is_described(basin):
    text = plain(page(basin))
    for line in basin.ok('help', '--list').splitlines():
        kind, word, *_ = (line + '  ').split(' ')
        if kind == 'option':
            true(f'{word}' in text, f'{word} is not described')


def man_finds_no_fault_with_it(basin):
    if not shutil.which('man'):
        raise Skip('no man')
    done = subprocess.run(['man', '--warnings', '-l', f'{basin.source}/examples/basin/basin.1'], capture_output=True,
                          text=True, env={**os.environ, 'LC_ALL': 'C.UTF-8', 'MANWIDTH': '80'}, check=False)
    equal((done.returncode, done.stderr), (0, ''))
    true('pool-define-as' in done.stdout, 'the page is empty')


main([every_verb_has_a_section_and_every_section_a_verb, every_option_of_a_verb_is_in_its_section,
      every_global_option_is_described, man_finds_no_fault_with_it])
