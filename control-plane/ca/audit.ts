/** What the audit says of a certificate, issued or refused: enough to find it again, and nothing secret. */
import { hash } from 'node:crypto';
import type { Caller } from '../auth/caller.ts';
import type { SignedLeaf } from './authority.ts';

type AuditFields = Readonly<Record<string, unknown>>;

/** Who asked, as far as that is proven; nothing of it when the credential was refused. */
export const callerFields = (caller: Caller | undefined): AuditFields =>
  caller === undefined
    ? {}
    : {
        spiffeId: caller.spiffeId,
        pod: caller.pod?.name ?? '',
        podUid: caller.pod?.uid ?? '',
        via: caller.via,
      };

const iso = (unixMs: number): string => new Date(unixMs).toISOString();

export const leafFields = ({
  chain: [der],
  serialHex,
  issuerKeyId,
  notBeforeMs,
  notAfterMs,
}: SignedLeaf): AuditFields => ({
  serial: serialHex,
  issuerKeyId,
  notBefore: iso(notBeforeMs),
  notAfter: iso(notAfterMs),
  sha256: der === undefined ? '' : hash('sha256', der, 'hex'),
});

/** Named when an anchor has to stay for its certificate. */
export const holderOf = ({ pod, identity, spiffeId }: Caller): string =>
  pod === undefined ? spiffeId : `${identity.namespace}/${pod.name}`;
