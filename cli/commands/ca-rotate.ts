/** `weft ca status`, `rotate` and `drop-anchor`: asked of whoever leads, by way of the store that holds the authority. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeLeaves, joinSummaries } from '@weft/control-plane/ca/ledger';
import {
  type CommandOutcome,
  commandKey,
  readLedgers,
  readState,
  type StoredState,
} from '@weft/control-plane/ca/state';
import { FileCaStore } from '@weft/control-plane/static/ca-files';
import { parseOutput, table } from '../command.ts';
import { ExitCode, UsageError } from '../exit.ts';
import { Kube } from '../kube.ts';

const path = '/api/v1/namespaces/weft-system/secrets/weft-ca';
const answerMsMax = 30_000;
const askMs = 500;
const shortDigits = 16;

interface RotateOptions {
  readonly kubeconfig?: string | undefined;
  readonly 'ca-dir'?: string | undefined;
  readonly anchor?: string | undefined;
  readonly force?: boolean | undefined;
  readonly output?: string | undefined;
}

interface Store {
  read(): Promise<Readonly<Record<string, string>>>;
  /** Puts a command there for the control plane to take. */
  ask(text: string): Promise<void>;
}

interface SecretObject {
  readonly data?: Readonly<Record<string, string>>;
}

function clusterStore(kubeconfig: string | undefined): Store {
  const kube = Kube.open(kubeconfig);
  return {
    async read() {
      const secret = await kube.get<SecretObject>(path);
      if (secret === undefined)
        throw new Error('there is no Secret weft-system/weft-ca; is the control plane running?');
      const entries = Object.entries(secret.data ?? {});
      return Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]));
    },
    async ask(text) {
      const data = { [commandKey]: Buffer.from(text, 'utf8').toString('base64') };
      if (!(await kube.patch(path, { data }))) throw new Error('there is no Secret weft-system/weft-ca');
    },
  };
}

function folderStore(caDir: string): Store {
  const store = new FileCaStore(caDir);
  return {
    async read() {
      const loaded = await store.load();
      if (!loaded.ok) throw new Error(loaded.error);
      if (loaded.value === undefined) throw new Error(`there is no certificate authority in ${caDir}`);
      return loaded.value.data.reveal();
    },
    ask: (text) => writeFile(join(caDir, commandKey), text, { mode: 0o600 }),
  };
}

const storeOf = (options: RotateOptions): Store =>
  options['ca-dir'] === undefined ? clusterStore(options.kubeconfig) : folderStore(options['ca-dir']);

function stateOf(data: Readonly<Record<string, string>>): StoredState {
  const state = readState(data);
  if (!state.ok) throw new Error(state.error);
  if (state.value === undefined) throw new Error('the control plane has not written the state of its authority yet');
  return state.value;
}

export async function caStatus(options: RotateOptions): Promise<number> {
  const format = parseOutput(options.output);
  const data = await storeOf(options).read();
  const nowMs = Date.now();
  const ledgers = readLedgers(data, '');
  const anchors = stateOf(data).anchors.map(({ fingerprint, role, sinceMs, notAfterMs, neededUntilMs }) => {
    const leaves = joinSummaries(
      ledgers.map((one) => one[fingerprint]),
      nowMs,
    );
    const neededMs = role === 'retiring' ? Math.max(neededUntilMs, leaves.untilMs) : 0;
    return { fingerprint, role, sinceMs, notAfterMs, neededMs, leaves };
  });
  if (format === 'json') {
    console.log(JSON.stringify({ anchors }, undefined, 2));
    return ExitCode.ok;
  }
  const iso = (ms: number): string => (ms === 0 ? '' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z'));
  const rows = anchors.map(({ fingerprint, role, sinceMs, notAfterMs, neededMs, leaves }) => [
    fingerprint.slice(0, shortDigits),
    role,
    iso(sinceMs),
    iso(notAfterMs),
    iso(neededMs),
    role === 'retiring' && leaves.count > 0 ? describeLeaves(leaves) : '',
  ]);
  console.log(table(['ANCHOR', 'ROLE', 'SINCE', 'EXPIRES', 'NEEDED UNTIL', 'BY'], rows));
  return ExitCode.ok;
}

async function command(options: RotateOptions, what: Readonly<Record<string, unknown>>): Promise<number> {
  const store = storeOf(options);
  stateOf(await store.read());
  const id = randomUUID();
  await store.ask(JSON.stringify({ id, ...what }));
  const answer = await outcome(store, id);
  if (answer === undefined)
    throw new Error(
      'no replica of the control plane has answered; see its log: kubectl logs -n weft-system deployment/weft-control-plane',
    );
  if (!answer.ok) throw new Error(answer.message);
  console.log(answer.message);
  return ExitCode.ok;
}

async function outcome(store: Store, id: string): Promise<CommandOutcome | undefined> {
  for (const untilMs = Date.now() + answerMsMax; Date.now() < untilMs; await sleep(askMs)) {
    const { lastCommand } = stateOf(await store.read());
    if (lastCommand?.id === id) return lastCommand;
  }
  return undefined;
}

export const caRotate = (options: RotateOptions): Promise<number> => command(options, { do: 'rotate' });

export async function caDropAnchor(options: RotateOptions): Promise<number> {
  const { anchor, force = false } = options;
  if (anchor === undefined || !/^[0-9a-f]{8,64}$/.test(anchor))
    throw new UsageError('--anchor takes at least 8 hexadecimal digits of a fingerprint; "weft ca status" shows them');
  return command(options, { do: 'drop-anchor', anchor, force });
}
