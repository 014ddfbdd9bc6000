import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { waitFor } from './wait.ts';

/** Below the range from which the kernel takes ports of outgoing connections (32768 by default). */
const PORT_MIN = 10_000;
const PORT_MAX = 32_000;

let nextPort = PORT_MIN + ((process.pid * 97) % (PORT_MAX - PORT_MIN));

/**
 * Others that run side by side look for ports as well, and what is found here is bound later: a name in the abstract
 * namespace of Unix sockets, which goes with this process, says that a port is spoken for.
 */
async function reserve(port: number): Promise<boolean> {
  const server = createServer().unref();
  const outcome = new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.once('listening', () => resolve(true));
  });
  server.listen(`\0weft-test-port-${port}`);
  return outcome;
}

async function isFree(port: number, ip: string): Promise<boolean> {
  const server = createServer();
  const outcome = new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.once('listening', () => resolve(true));
  });
  server.listen({ port, host: ip, exclusive: true });
  if (!(await outcome)) return false;
  server.close();
  await once(server, 'close');
  return true;
}

/**
 * A port that nothing listens on in either family, and that no other process of tests is given while this one runs; a
 * file of a bootstrap needs it before the listener is there.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1_000; tries++) {
    nextPort = nextPort >= PORT_MAX ? PORT_MIN : nextPort + 1;
    // Others may ask while this one is tried.
    const port = nextPort;
    if ((await isFree(port, '127.0.0.1')) && (await isFree(port, '::1')) && (await reserve(port))) return port;
  }
  throw new Error(`no free port from ${PORT_MIN} to ${PORT_MAX}`);
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Unless told, nothing comes in, and both outputs are kept. */
  readonly stdio?: StdioOptions;
}

/** A child process whose output is kept, and that does not outlive the test. */
export class Program {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  private readonly name: string;
  /** It has ended, and all that it wrote is there. */
  private readonly closed: Promise<unknown>;

  constructor(command: string, args: readonly string[], options: ProgramOptions = {}) {
    this.name = command;
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.child.once('error', (error) => {
      this.stderr += `${error.message}\n`;
    });
    this.closed = new Promise((resolve) => this.child.once('close', resolve));
  }

  get pid(): number {
    const { pid } = this.child;
    if (pid === undefined) throw new Error(`${this.name} did not start: ${this.stderr}`);
    return pid;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until `ready` says so, and fails at once when the process ends before. */
  async until(what: string, ready: () => boolean | Promise<boolean>): Promise<void> {
    await waitFor(`${this.name}: ${what}`, async () => ((await ready()) || this.ended ? true : undefined));
    if (!this.ended) return;
    await this.closed;
    throw new Error(`${this.name} ended: ${this.stderr}`);
  }

  /** When its outputs have been read to their end too, which may come after that of the process. */
  async exitCode(): Promise<number | null> {
    await this.closed;
    return this.child.exitCode;
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.ended) return;
    this.child.kill(signal);
    await once(this.child, 'exit');
  }
}
