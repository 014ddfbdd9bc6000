/** Workload APIs of `weft identity serve` on this machine, each for an account of the shop, behind one control plane. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileJoinRecords } from '@weft/control-plane/join/file-records';
import { Joins } from '@weft/control-plane/join/joins';
import { type Harness, startHarness } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { newJoinToken } from '@weft/policies/identity/join-token';
import { systemClock } from '@weft/policies/kit/clock';
import { Program } from './pair-process.ts';

const weft = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const joinForMs = 60_000;
/** The shortest that the Mesh takes: leaves are renewed at half of their life. */
const shortLeaves = `
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { certificates: { ttl: 1m } }
`;

export const shopIdentity = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;

export interface WorkloadApis {
  readonly folder: string;
  readonly harness: Harness;
  /** The socket on which an account of the shop is served. */
  serve(account: string): Promise<string>;
  /** Ends with the others. */
  add(program: Program): Program;
  stop(): Promise<void>;
}

export async function startWorkloadApis(name: string): Promise<WorkloadApis> {
  const folder = mkdtempSync(join(tmpdir(), `weft-${name}-`));
  const records = new FileJoinRecords(join(folder, 'joins'));
  const joins = new Joins(records, systemClock);
  const harness = await startHarness({ objects: shopObjects, tokens: shopTokens, joins });
  harness.apply(shortLeaves);
  const trustFile = join(folder, 'root-cert.pem');
  writeFileSync(trustFile, harness.authority.trustBundlePem);
  const programs: Program[] = [];
  const add = (program: Program): Program => {
    programs.push(program);
    return program;
  };
  return {
    folder,
    harness,
    add,
    async serve(account) {
      const { token, digest } = newJoinToken();
      const now = Date.now();
      const record = { digest, namespace: 'shop', serviceAccount: account, createdUnixMs: now, use: undefined };
      assert.ok(records.create({ ...record, expiresUnixMs: now + joinForMs }).ok);
      const tokenFile = join(folder, `${account}.token`);
      writeFileSync(tokenFile, token.reveal(), { mode: 0o600 });
      const socket = join(folder, account, 'api.sock');
      const args = ['--socket', socket, '--control-plane', harness.address, '--trust', trustFile];
      const state = ['--state', join(folder, account, 'state'), '--join-token', `@${tokenFile}`];
      const agent = add(new Program(process.execPath, [weft, 'identity', 'serve', ...args, ...state]));
      await agent.until('serving', () => agent.stderr.includes('serving the Workload API for'));
      return socket;
    },
    async stop() {
      for (const program of programs) program.child.kill();
      await harness.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The lines of JSON that a program has said so far. */
export const linesOf = ({ stdout }: Program): Readonly<Record<string, unknown>>[] =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
