/** The load generator of loadgen/: fixed rate, new TLS connections, idle ones, streams. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CertificateFiles } from '../../support/certs.ts';
import { Program } from '../../support/pair-process.ts';
import { loadCore, onCore } from '../cores.ts';
import { traceparent } from './headers.ts';

const run = promisify(execFile);
const graceMs = 30_000;

export interface RateOptions {
  readonly port: number;
  readonly path: string;
  readonly protocol: 'h1' | 'h2' | 'grpc';
  readonly rate: number;
  readonly connections: number;
  readonly seconds: number;
  /** Seconds at the start whose requests are made and not counted. */
  readonly discard?: number;
  readonly cores?: number | string;
}

/** Of requests from the time at which they should have been sent. */
export interface RateResult {
  readonly completed: number;
  readonly counted: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly p999_ms: number;
  readonly max_ms: number;
  /** How late the generator was by itself. */
  readonly lag_p99_ms: number;
}

export interface MeshTlsOptions {
  readonly port: number;
  readonly group: string;
  readonly alpn: string;
  readonly files: CertificateFiles;
  readonly serverId: string;
}

const tlsFlags = ({ port, group, alpn, files, serverId }: MeshTlsOptions): readonly string[] => [
  ...['-address', `127.0.0.1:${port}`, '-group', group, '-alpn', alpn, '-server-id', serverId],
  ...['-certificate', files.certificateFile, '-key', files.keyFile, '-trust', files.trustFile],
];

export class Loadgen {
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  rate(options: RateOptions): Promise<RateResult> {
    const { port, path, protocol, rate, connections, seconds, discard = 0, cores } = options;
    const flags = [
      ...['-address', `127.0.0.1:${port}`, '-path', path, '-protocol', protocol, '-traceparent', traceparent],
      ...['-rate', String(rate), '-connections', String(connections)],
      ...['-seconds', String(seconds), '-discard', String(discard)],
    ];
    return this.run('rate', flags, seconds + discard, cores);
  }

  handshakes(
    options: MeshTlsOptions & { readonly seconds: number; readonly workers: number },
  ): Promise<{ readonly connections: number; readonly seconds: number }> {
    const { seconds, workers } = options;
    return this.run(
      'handshakes',
      [...tlsFlags(options), '-seconds', String(seconds), '-workers', String(workers)],
      seconds,
    );
  }

  stream(
    direction: 'pull' | 'push',
    { port, connections, seconds }: { readonly port: number; readonly connections: number; readonly seconds: number },
  ): Promise<{ readonly bytes: number; readonly seconds: number }> {
    const flags = ['-address', `127.0.0.1:${port}`, '-connections', String(connections), '-seconds', String(seconds)];
    return this.run(direction, flags, seconds);
  }

  /** Connections that stay open, each with one request behind it, until `release`, which fails when one was not kept. */
  async hold(options: MeshTlsOptions, connections: number): Promise<{ release(): Promise<void> }> {
    const args = ['hold', ...tlsFlags(options), '-connections', String(connections)];
    const program = new Program('taskset', onCore(loadCore, this.path, args), { stdio: 'pipe' });
    await program.until('holding', () => program.stdout.includes('holding'));
    return {
      release: async () => {
        program.child.stdin?.end();
        const code = await program.exitCode();
        if (code !== 0) throw new Error(program.stderr);
      },
    };
  }

  /** Sends without end on one port, takes without end on the other. */
  async tcpServer(sourcePort: number, sinkPort: number): Promise<Program> {
    const args = ['tcp-server', '-source', `127.0.0.1:${sourcePort}`, '-sink', `127.0.0.1:${sinkPort}`];
    const program = new Program('taskset', onCore(loadCore, this.path, args), { stdio: 'pipe' });
    await program.until('serving', () => program.stdout.includes('serving'));
    return program;
  }

  private async run<T>(
    command: string,
    flags: readonly string[],
    seconds: number,
    cores: number | string = loadCore,
  ): Promise<T> {
    try {
      const { stdout } = await run('taskset', onCore(cores, this.path, [command, ...flags]), {
        timeout: seconds * 1_000 + graceMs,
      });
      const result: T = JSON.parse(stdout);
      return result;
    } catch (error) {
      const { stderr } = error as { readonly stderr?: string };
      throw new Error(stderr === undefined || stderr === '' ? (error as Error).message : stderr.trim());
    }
  }
}
