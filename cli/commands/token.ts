import { join } from 'node:path';
import { FileJoinRecords, joinFolder } from '@weft/control-plane/join/file-records';
import { durationMs } from '@weft/policies/crds/duration';
import {
  type JoinRecord,
  joinLabel,
  joinRecordName,
  joinSecret,
  newJoinToken,
  parseJoinData,
} from '@weft/policies/identity/join-token';
import { type Command, parseOptions, parseOutput, table } from '../command.ts';
import { ExitCode, UsageError } from '../exit.ts';
import { Kube } from '../kube.ts';

const ttlDefault = '10m';
const ttlMsMin = 10_000;
const ttlMsMax = 24 * 3_600_000;
/** Tokens and joined processes; whoever has more machines than that gives each its own short-lived token in turn. */
const recordsMax = 5_000;
const system = 'weft-system';

/** Where tokens are kept: Secrets of a cluster, or the folder of a static control plane. */
interface Store {
  check(namespace: string, serviceAccount: string): Promise<void>;
  create(record: JoinRecord): Promise<void>;
  list(): Promise<readonly JoinRecord[]>;
  /** False when there is none of that name. */
  remove(name: string): Promise<boolean>;
}

interface SecretList {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly { readonly data?: Readonly<Record<string, string>> }[];
}

function clusterStore(kubeconfig: string | undefined): Store {
  const kube = Kube.open(kubeconfig);
  const path = `/api/v1/namespaces/${system}/secrets`;
  return {
    async check(namespace, serviceAccount) {
      const account = `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(serviceAccount)}`;
      if ((await kube.get(account)) === undefined)
        throw new Error(`there is no service account ${namespace}/${serviceAccount}; create it first`);
    },
    create: (record) => kube.create(path, joinSecret(record)),
    async list() {
      const records: JoinRecord[] = [];
      for (let next = ''; records.length < recordsMax; ) {
        const query = `labelSelector=${encodeURIComponent(joinLabel)}&limit=500${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`;
        const page = await kube.get<SecretList>(`${path}?${query}`);
        for (const { data } of page?.items ?? []) {
          const record = parseJoinData(data ?? {});
          if (record.ok) records.push(record.value);
        }
        next = page?.metadata.continue ?? '';
        if (next === '') break;
      }
      return records;
    },
    remove: (name) => kube.delete(`${path}/${encodeURIComponent(name)}`),
  };
}

function folderStore(caDir: string): Store {
  const records = new FileJoinRecords(join(caDir, joinFolder));
  return {
    check: async () => {},
    async create(record) {
      const created = records.create(record);
      if (!created.ok) throw new Error(created.error);
    },
    list: async () => [...records.all()].map(({ held }) => held.record),
    async remove(name) {
      const there = [...records.all()].some((one) => one.name === name);
      records.remove(name);
      return there;
    },
  };
}

function parseTtl(text: string): number {
  const ttlMs = durationMs(text);
  if (ttlMs === undefined || ttlMs < ttlMsMin || ttlMs > ttlMsMax)
    throw new UsageError(`--ttl is "${text}", must be a duration from 10s to 24h, such as 10m`);
  return ttlMs;
}

const stateOf = ({ use, expiresUnixMs }: JoinRecord): string => {
  if (use !== undefined) return use.certificateEndsUnixMs < Date.now() ? 'gone' : 'joined';
  return expiresUnixMs < Date.now() ? 'expired' : 'open';
};

const time = (unixMs: number): string => new Date(unixMs).toISOString();

async function create(store: Store, namespace: string, serviceAccount: string, ttlMs: number): Promise<number> {
  await store.check(namespace, serviceAccount);
  if ((await store.list()).length >= recordsMax)
    throw new Error(`there are ${recordsMax} tokens and joined processes already; "weft token list" shows them`);
  const { token, digest } = newJoinToken();
  const createdUnixMs = Date.now();
  const expiresUnixMs = createdUnixMs + ttlMs;
  await store.create({ digest, namespace, serviceAccount, createdUnixMs, expiresUnixMs, use: undefined });
  // The token alone on stdout, so that it can be piped; it is shown this once.
  console.error(
    `${joinRecordName(digest)}: for one process of ${namespace}/${serviceAccount}, until ${time(expiresUnixMs)}`,
  );
  console.log(token.reveal());
  return ExitCode.ok;
}

async function list(store: Store, output: string | undefined): Promise<number> {
  const format = parseOutput(output);
  const rows = (await store.list()).map((record) => ({
    name: joinRecordName(record.digest),
    namespace: record.namespace,
    serviceAccount: record.serviceAccount,
    state: stateOf(record),
    created: time(record.createdUnixMs),
    ends: time(record.use?.certificateEndsUnixMs ?? record.expiresUnixMs),
  }));
  if (format === 'json') console.log(JSON.stringify(rows, undefined, 2));
  else if (rows.length === 0) console.log('no join token is open and no process has joined');
  else {
    const header = ['NAME', 'NAMESPACE', 'SERVICE ACCOUNT', 'STATE', 'CREATED', 'ENDS'];
    console.log(
      table(
        header,
        rows.map((row) => Object.values(row)),
      ),
    );
  }
  return ExitCode.ok;
}

async function revoke(store: Store, name: string | undefined): Promise<number> {
  if (name === undefined) throw new UsageError('weft token revoke needs --name, as "weft token list" shows it');
  // Other Secrets lie there, too.
  if (!/^weft-join-[0-9a-f]{32}$/.test(name)) throw new UsageError(`--name is "${name}", which names no join token`);
  if (await store.remove(name)) return ExitCode.ok;
  console.error(`weft: there is no join token ${name}`);
  return ExitCode.failed;
}

export const token: Command = {
  name: 'token',
  summary: 'join tokens: identities for processes and virtual machines outside Kubernetes',
  help: `Usage: weft token create --namespace <ns> --service-account <name> [--ttl 10m]
       weft token list [--output text|json]
       weft token revoke --name <name>

create  prints a token once. It is good for one process, until it is used or --ttl (10s to 24h) is over; the mesh keeps
        its hash alone. "weft identity serve --join-token" joins with it.
list    tokens that are open, and processes that have joined.
revoke  takes back a token, or the right of a joined process to renew its certificate.

  --kubeconfig <file>   the cluster; tokens are Secrets in ${system}
  --ca-dir <dir>        of a static control plane, in place of a cluster`,

  async run(args) {
    const [verb, ...rest] = args;
    const text = { type: 'string' } as const;
    const options = parseOptions(rest, {
      kubeconfig: text,
      'ca-dir': text,
      namespace: { ...text, short: 'n' },
      'service-account': text,
      ttl: text,
      name: text,
      output: { ...text, short: 'o' },
    });
    const store = (): Store =>
      options['ca-dir'] === undefined ? clusterStore(options.kubeconfig) : folderStore(options['ca-dir']);
    switch (verb) {
      case 'create': {
        const { namespace, 'service-account': serviceAccount } = options;
        if (namespace === undefined || serviceAccount === undefined)
          throw new UsageError('weft token create needs --namespace and --service-account');
        return create(store(), namespace, serviceAccount, parseTtl(options.ttl ?? ttlDefault));
      }
      case 'list':
        return list(store(), options.output);
      case 'revoke':
        return revoke(store(), options.name);
      default:
        throw new UsageError('weft token takes create, list or revoke; "weft token --help" says more');
    }
  },
};
