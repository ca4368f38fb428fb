# SPDX-License-Identifier: LGPL-2.1-or-later
# The peer: libvirt's storage driver in a libvirtd of its own, whose every file is private.
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

MODULES = ('storage', 'secret')
MODULE_DIRS = ('/usr/lib/x86_64-linux-gnu/libvirt/connection-driver',
               '/usr/lib/aarch64-linux-gnu/libvirt/connection-driver',
               '/usr/lib64/libvirt/connection-driver', '/usr/lib/libvirt/connection-driver')


def daemon_program():
    return shutil.which('libvirtd', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')


def module_dir():
    for directory in MODULE_DIRS:
        if pathlib.Path(directory, 'libvirt_driver_storage.so').exists():
            return pathlib.Path(directory)
    return None


def why_not(client):
    """The reason why the peer cannot run, or None."""
    if not client.exists():
        return 'the client was not built (libvirt-dev is missing)'
    if not daemon_program():
        return 'libvirtd is not installed (libvirt-daemon)'
    if not module_dir():
        return "libvirtd's storage driver is not installed (libvirt-daemon)"
    if not shutil.which('setpriv'):
        return 'setpriv is not installed (util-linux)'
    return None


class Daemon:
    """A session-mode libvirtd. libvirt has that mode for other users than root only, so root runs
    it as nobody."""

    def __init__(self, parent):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='libvirt-', dir=parent))
        self.dir.chmod(0o755)
        user = pwd.getpwnam('nobody') if os.geteuid() == 0 else None
        places = {}
        for key, name in (('HOME', 'home'), ('XDG_CONFIG_HOME', 'config'),
                          ('XDG_CACHE_HOME', 'cache'), ('XDG_RUNTIME_DIR', 'run')):
            (self.dir / name).mkdir(mode=0o700)
            if user:
                os.chown(self.dir / name, user.pw_uid, user.pw_gid)
            places[key] = str(self.dir / name)
        # Only the drivers that are measured: the others would look for buses and bridges.
        modules = self.dir / 'modules'
        modules.mkdir()
        for module in MODULES:
            file = f'libvirt_driver_{module}.so'
            (modules / file).symlink_to(module_dir() / file)
        self.log = open(self.dir / 'log', 'w+')
        # The signal ends it also when this process is killed.
        argv = ['setpriv', '--pdeathsig', 'TERM', daemon_program()]
        if user:
            argv[1:1] = ['--reuid', str(user.pw_uid), '--regid', str(user.pw_gid),
                         '--clear-groups']
        self.process = subprocess.Popen(
            argv, stdout=self.log, stderr=self.log,
            env={'PATH': os.environ['PATH'], 'LIBVIRT_DRIVER_DIR': str(modules), **places})
        self.pid = self.process.pid
        self.socket = self.dir / 'run' / 'libvirt' / 'libvirt-sock'
        self.uri = f'storage+unix:///session?socket={self.socket}'
        self.wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                self.log.seek(0)
                raise RuntimeError('libvirtd does not start: ' + self.log.read()[-2000:])
            time.sleep(0.05)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
