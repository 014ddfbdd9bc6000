#!/usr/bin/env node
/**
 * Starts the `weft` command on the Node that it is made for, whatever Node runs this file: the mesh needs node:ffi and
 * node:sqlite of Node 26, and `npm install` has brought that as an optional dependency.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = join(dirname(dirname(fileURLToPath(import.meta.url))), 'cli', 'main.js');
const require = createRequire(import.meta.url);

function nodeBinary() {
  const name = `node-${process.platform}-${process.arch}`;
  try {
    const path = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
    if (existsSync(path)) return path;
  } catch {
    // The optional dependency has no build for this system; said below.
  }
  console.error(`weft runs on Linux x64 and arm64; there is no ${name} package here. Run it in a Linux machine or VM.`);
  process.exit(69);
}

const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const child = spawn(nodeBinary(), [...flags, main, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
