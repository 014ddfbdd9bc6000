// Loaded into a running program of ours by NODE_OPTIONS=--import: at SIGUSR2 it tries what nobody in there should be able to.
import { spawn } from 'node:child_process';
import { constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';

const attempts = {
  'read /etc/passwd': () => readFileSync('/etc/passwd'),
  'read the environment of others': () => readFileSync('/proc/1/environ'),
  'read its own environment anew': () => readFileSync('/proc/self/environ'),
  'read /etc/passwd by the root of a thread': () => readFileSync(`/proc/self/task/${process.pid}/root/etc/passwd`),
  // Where it may read a folder, and what its descriptors are links to, that leads to everything.
  'read /etc/passwd by a descriptor': () => {
    let fd = openSync(dirname(process.argv[1]), constants.O_DIRECTORY);
    for (let i = 0; i < 10; i++) fd = openSync(`/proc/self/fd/${fd}/..`, constants.O_DIRECTORY);
    readFileSync(`/proc/self/fd/${fd}/etc/passwd`);
  },
  'write a file': () => writeFileSync('/tmp/weft-rights-probe', ''),
  'start a process': () => spawn('/bin/true'),
  'become another program': () => process.execve('/bin/true', ['true'], {}),
  'load a native addon': () => process.dlopen({ exports: {} }, '/nowhere.node'),
  'call native functions': () => process.getBuiltinModule('node:ffi').dlopen(null, {}),
  'start a thread': () => new Worker('0', { eval: true }),
  'be debugged': () => new Session().connect(),
};

process.on('SIGUSR2', () => {
  const outcome = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      attempt();
      outcome[name] = 'done';
    } catch (error) {
      outcome[name] = error.code;
    }
  }
  process.stderr.write(`rights: ${JSON.stringify(outcome)}\n`);
});
