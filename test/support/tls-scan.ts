/** sslyze (https://nabla-c0d3.github.io/sslyze/documentation/): what a server speaks of TLS, and which known holes it has. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pythonPackages } from './peers/python.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 120_000;

const COMMANDS = [
  '--sslv2',
  '--sslv3',
  '--tlsv1',
  '--tlsv1_1',
  '--tlsv1_2',
  '--tlsv1_3',
  '--heartbleed',
  '--openssl_ccs',
  '--robot',
  '--compression',
  '--reneg',
  '--fallback',
  '--early_data',
  '--ems',
];

export interface ScanTarget {
  readonly port: number;
  readonly serverName: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
}

/** Of a finding: its fields by name; undefined where sslyze could not finish. */
type Attempt = { readonly status: string; readonly result: unknown; readonly error_trace?: string | null };

export class Scan {
  private readonly attempts: Readonly<Record<string, Attempt>>;

  private constructor(attempts: Readonly<Record<string, Attempt>>) {
    this.attempts = attempts;
  }

  static async of({ port, serverName, certificateFile, keyFile }: ScanTarget): Promise<Scan> {
    const folder = mkdtempSync(join(tmpdir(), 'weft-scan-'));
    const json = join(folder, 'scan.json');
    const client = certificateFile === undefined ? [] : ['--cert', certificateFile, '--key', keyFile ?? ''];
    const more = ['--mozilla_config', 'disable', '--quiet', '--sni', serverName, '--json_out', json];
    try {
      const env = { ...process.env, PYTHONPATH: await pythonPackages() };
      const args = ['-m', 'sslyze', ...COMMANDS, ...client, ...more, `127.0.0.1:${port}`];
      await run('python3', args, { env, timeout: TIMEOUT_MS });
      const { server_scan_results: results } = JSON.parse(readFileSync(json, 'utf8'));
      const [server] = results;
      if (server?.scan_status !== 'COMPLETED') throw new Error(`sslyze: ${JSON.stringify(server).slice(0, 1_000)}`);
      return new Scan(server.scan_result);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  private result(name: string): Readonly<Record<string, unknown>> {
    const attempt = this.attempts[name];
    if (attempt?.status !== 'COMPLETED' || typeof attempt.result !== 'object' || attempt.result === null)
      throw new Error(`sslyze did not finish ${name}: ${attempt?.status} ${attempt?.error_trace ?? ''}`);
    return { ...attempt.result };
  }

  /** Cipher suites that the server took in a version of the protocol, in IANA's names. */
  ciphers(version: 'ssl_2_0' | 'ssl_3_0' | 'tls_1_0' | 'tls_1_1' | 'tls_1_2' | 'tls_1_3'): readonly string[] {
    const accepted = this.result(`${version}_cipher_suites`)['accepted_cipher_suites'];
    if (!Array.isArray(accepted)) throw new Error(`sslyze: no list of suites for ${version}`);
    return accepted.map((one: { readonly cipher_suite: { readonly name: string } }) => one.cipher_suite.name);
  }

  /** What is wrong, one line each; empty: nothing. */
  findings(): readonly string[] {
    const found: string[] = [];
    const expected: readonly (readonly [string, string, unknown])[] = [
      ['heartbleed', 'is_vulnerable_to_heartbleed', false],
      ['openssl_ccs_injection', 'is_vulnerable_to_ccs_injection', false],
      ['tls_compression', 'supports_compression', false],
      ['session_renegotiation', 'is_vulnerable_to_client_renegotiation_dos', false],
      ['session_renegotiation', 'supports_secure_renegotiation', true],
      ['tls_1_3_early_data', 'supports_early_data', false],
      ['tls_extended_master_secret', 'supports_ems_extension', true],
    ];
    for (const [command, field, wanted] of expected) {
      // Renegotiation and the master secret of TLS 1.2 are none of a server that speaks 1.3 alone.
      if (wanted === true && this.ciphers('tls_1_2').length === 0) continue;
      if (this.result(command)[field] !== wanted) found.push(`${command}: ${field} is ${this.result(command)[field]}`);
    }
    const robot = String(this.result('robot')['robot_result']);
    if (!robot.startsWith('NOT_VULNERABLE')) found.push(`robot: ${robot}`);
    for (const version of ['ssl_2_0', 'ssl_3_0', 'tls_1_0', 'tls_1_1'] as const)
      for (const cipher of this.ciphers(version)) found.push(`${version}: ${cipher}`);
    // RFC 9325 section 4.2: forward secrecy and authenticated encryption.
    for (const cipher of this.ciphers('tls_1_2'))
      if (!/^TLS_ECDHE_\w+_(GCM|CHACHA20_POLY1305)_/.test(cipher)) found.push(`tls_1_2: ${cipher}`);
    return found;
  }
}
