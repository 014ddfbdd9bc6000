#!/usr/bin/env node
/**
 * Starts the `weft` command on the Node that it is made for, whatever Node runs this file: the mesh needs node:ffi and
 * node:sqlite of Node 26, and `npm install` has brought that as an optional dependency.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EX_UNAVAILABLE = 69;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
// The package has the bundle, the repository the source.
const main = ['main.js', 'main.ts'].map((name) => join(root, 'cli', name)).find((path) => existsSync(path));
const require = createRequire(import.meta.url);

function nodeBinary() {
  const name = `node-${process.platform}-${process.arch}`;
  try {
    const path = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
    if (existsSync(path)) return path;
  } catch {
    // The optional dependency has no build for this system, or was left out; said below.
  }
  const how =
    process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
      ? `the package ${name} is missing: install weft without --omit=optional`
      : 'weft runs on Linux x64 and arm64; run it in a Linux machine or VM';
  console.error(`weft: ${how}`);
  process.exit(EX_UNAVAILABLE);
}

const node = nodeBinary();
const args = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', main, ...process.argv.slice(2)];
if (typeof process.execve === 'function') {
  // The newer Node takes this process's place; that doing so is experimental in some versions is no news for the user.
  process.removeAllListeners('warning');
  process.execve(node, [node, ...args], process.env);
}
const child = spawn(node, args, { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
// Of a signal the shell's way: 128 and its number.
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
