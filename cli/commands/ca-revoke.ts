import { durationMs } from '@weft/policies/crds/duration';
import {
  formatRevocation,
  parseRevocation,
  REVOCATIONS_CONFIG_MAP,
  type RevocationRecord,
  revocationKey,
} from '@weft/policies/identity/revocation-record';
import { serialOf } from '@weft/policies/identity/revocations';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import { parseOutput, table } from '../command.ts';
import { ExitCode, UsageError } from '../exit.ts';
import { Kube } from '../kube.ts';

const system = 'weft-system';
const path = `/api/v1/namespaces/${system}/configmaps`;
const named = `${path}/${REVOCATIONS_CONFIG_MAP}`;
/** No certificate of a workload lives longer, whatever the Mesh says. */
const certificateMsMax = 2_160 * 3_600_000;

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>;
}

interface RevokeOptions {
  readonly kubeconfig?: string | undefined;
  readonly identity?: string | undefined;
  readonly serial?: string | undefined;
  readonly reason?: string | undefined;
  readonly for?: string | undefined;
  readonly 'may-reissue'?: boolean | undefined;
  readonly output?: string | undefined;
}

/** Exactly one of the two, or it is said what is wrong. */
function subjectOf({ identity, serial }: RevokeOptions): Pick<RevocationRecord, 'identity' | 'serial'> {
  if ((identity === undefined) === (serial === undefined))
    throw new UsageError('give either --identity <SPIFFE ID> or --serial <hex>');
  if (serial !== undefined) {
    const hex = serial.replaceAll(':', '');
    if (!/^[0-9a-fA-F]{1,40}$/.test(hex))
      throw new UsageError(`--serial is "${serial}", must be 1 to 40 hexadecimal digits`);
    return { serial: serialOf(hex) };
  }
  const parsed = parseSpiffeId(identity ?? '');
  if (!parsed.ok) throw new UsageError(`--identity: ${parsed.error}`);
  return { identity: parsed.value };
}

const time = (unixMs: number): string => (unixMs === 0 ? 'taken back' : new Date(unixMs).toISOString());

export async function revoke(options: RevokeOptions): Promise<number> {
  const subject = subjectOf(options);
  const forMs = options.for === undefined ? undefined : durationMs(options.for);
  if (options.for !== undefined && forMs === undefined)
    throw new UsageError(`--for is "${options.for}", must be a duration such as 24h`);
  const atUnixMs = Date.now();
  const mayReissue = options['may-reissue'] === true;
  if (mayReissue && subject.serial !== undefined)
    throw new UsageError('--may-reissue goes with --identity: a serial number is of one certificate');
  // What certificates there are have ended by then; an identity that gets none any more stays revoked.
  const ends = subject.serial !== undefined || mayReissue ? certificateMsMax : undefined;
  const lastsMs = forMs ?? ends;
  const record: RevocationRecord = {
    ...subject,
    reason: options.reason ?? '',
    atUnixMs,
    expiresUnixMs: lastsMs === undefined ? 0 : atUnixMs + lastsMs,
    mayReissue,
  };
  const data = { [revocationKey(subject)]: formatRevocation(record) };
  const kube = Kube.open(options.kubeconfig);
  if (!(await kube.patch(named, { data }))) {
    const metadata = { name: REVOCATIONS_CONFIG_MAP, namespace: system };
    await kube.create(path, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
  }
  console.log(
    `revoked ${subject.identity ?? `serial ${subject.serial}`} until ${time(record.expiresUnixMs)}; sidecars end its connections within seconds`,
  );
  return ExitCode.ok;
}

export async function unrevoke(options: RevokeOptions): Promise<number> {
  const subject = subjectOf(options);
  const kube = Kube.open(options.kubeconfig);
  const key = revocationKey(subject);
  const held = await kube.get<ConfigMap>(named);
  if (held?.data?.[key] === undefined) {
    console.error(`weft: ${subject.identity ?? `serial ${subject.serial}`} is not revoked`);
    return ExitCode.failed;
  }
  await kube.patch(named, { data: { [key]: null } });
  return ExitCode.ok;
}

export async function revocations(options: RevokeOptions): Promise<number> {
  const format = parseOutput(options.output);
  const held = await Kube.open(options.kubeconfig).get<ConfigMap>(named);
  const records = Object.values(held?.data ?? {}).flatMap((text) => {
    const record = parseRevocation(text);
    return record.ok ? [record.value] : [];
  });
  if (format === 'json') console.log(JSON.stringify(records, undefined, 2));
  else if (records.length === 0) console.log('nothing is revoked');
  else {
    const rows = records.map((one) => [
      one.identity ?? `serial ${one.serial}`,
      one.mayReissue ? 'yes' : 'no',
      time(one.expiresUnixMs),
      one.reason,
    ]);
    console.log(table(['REVOKED', 'MAY REISSUE', 'UNTIL', 'REASON'], rows));
  }
  return ExitCode.ok;
}
