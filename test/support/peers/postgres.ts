/** A PostgreSQL server of its own (Debian package postgresql), with TLS on. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accepts } from '../nginx.ts';
import { Program } from '../pair-process.ts';

const run = promisify(execFile);
const VERSIONS = '/usr/lib/postgresql';

/** Debian keeps the server's programs of each version apart and off PATH. */
function programs(): string {
  const newest = existsSync(VERSIONS) ? readdirSync(VERSIONS).toSorted((a, b) => Number(b) - Number(a))[0] : undefined;
  if (newest === undefined) throw new Error('PostgreSQL is missing: apt-get install postgresql');
  return join(VERSIONS, newest, 'bin');
}

const isRoot = (): boolean => process.getuid?.() === 0;

/** The server refuses to run as root; the package has made this user. Nothing stays between us and the program. */
const asPostgres = (command: string, args: readonly string[]): readonly [string, readonly string[]] =>
  isRoot() ? ['setpriv', ['--reuid=postgres', '--regid=postgres', '--init-groups', command, ...args]] : [command, args];

export async function startPostgres(folder: string, port: number): Promise<Program> {
  const bin = programs();
  const home = join(folder, 'postgres');
  const data = join(home, 'data');
  mkdirSync(home, { mode: 0o755 });
  await run('chmod', ['755', folder]);
  const certificate = ['-keyout', join(home, 'server.key'), '-out', join(home, 'server.crt'), '-days', '2'];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=db'];
  await run('openssl', [...request, ...certificate]);
  if (isRoot()) execFileSync('chown', ['-R', 'postgres', home]);
  const init = ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'];
  await run(...asPostgres(join(bin, 'initdb'), init), { cwd: home });
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    fsync: 'off',
    // In the middle of a query too it looks whether its client is still there.
    client_connection_check_interval: '100ms',
    ssl: 'on',
    ssl_cert_file: join(home, 'server.crt'),
    ssl_key_file: join(home, 'server.key'),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [command, args] = asPostgres(join(bin, 'postgres'), ['-D', data, ...options]);
  const program = new Program(command, args, { cwd: home });
  await program.until('listening', () => accepts('127.0.0.1', port));
  await program.until('ready', () => program.stderr.includes('ready to accept connections'));
  return program;
}

/** What psql printed, and its errors. */
export interface PsqlResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const psqlArguments = (port: number, sql: string): readonly string[] => [
  `host=127.0.0.1 port=${port} user=postgres dbname=postgres sslmode=require connect_timeout=10`,
  ...['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', sql],
];

export function psql(port: number, sql: string, input = ''): Promise<PsqlResult> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 200_000_000, timeout: 30_000 };
    const child = execFile('psql', psqlArguments(port, sql), options, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}
