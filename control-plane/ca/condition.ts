/** What the Mesh's status says of the certificate authority. */
import type { CaKeeper } from './keeper.ts';
import { describeLeaves } from './ledger.ts';
import type { AnchorRecord } from './rotation.ts';

export interface AuthorityCondition {
  readonly type: 'CertificateAuthority';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

const messageCharsMax = 4_096;
const namesMax = 20;
const iso = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z');
const short = ({ fingerprint }: AnchorRecord): string => fingerprint.slice(0, 16);

function namesOf(names: readonly string[]): string {
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more` : '';
  return `${names.slice(0, namesMax).join(', ')}${more}`;
}

export function authorityCondition(keeper: CaKeeper): AuthorityCondition {
  const type = 'CertificateAuthority';
  const [problem, ...more] = keeper.problemsNow();
  if (problem !== undefined) {
    const message = [problem, ...more].map((one) => one.message).join('; ');
    return { type, status: 'False', reason: problem.reason, message: message.slice(0, messageCharsMax) };
  }
  const signing = keeper.anchors.find((one) => one.role === 'signing');
  const said = [
    signing === undefined
      ? 'nothing signs yet'
      : `certificates are signed under anchor ${short(signing)}, which expires at ${iso(signing.notAfterMs)}`,
  ];
  const { waitsFor } = keeper.hearing;
  if (waitsFor.length > 0) said.push(`a new anchor waits to be acknowledged by ${namesOf(waitsFor)}`);
  const retiring = keeper.anchors.filter((one) => one.role === 'retiring');
  for (const anchor of retiring) {
    const leaves = keeper.leavesOf(anchor.fingerprint);
    const by = leaves.count === 0 ? '' : `: ${describeLeaves(leaves)}`;
    said.push(`anchor ${short(anchor)} stays until ${iso(Math.max(anchor.neededUntilMs, leaves.untilMs))}${by}`);
  }
  const reason = retiring.length > 0 ? 'AnchorKept' : 'Ready';
  return { type, status: 'True', reason, message: said.join('; ').slice(0, messageCharsMax) };
}
