/** Certificates of tests. */
import { type KeyObject, randomBytes } from 'node:crypto';
import type { SpiffeId } from '../spiffe-id.ts';
import { buildCertificate, serialNumber } from './certificate.ts';
import { keySigner } from './signature.ts';

interface Wanted {
  /** Common name of the root. */
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Of a leaf; without one it is the root itself. */
  readonly id: SpiffeId | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly serial?: Uint8Array;
  readonly extKeyUsage?: readonly ('serverAuth' | 'clientAuth')[];
}

export function testCertificate({ issuer, issuerKey, id, serial, extKeyUsage = [], ...rest }: Wanted) {
  const isCa = id === undefined;
  return buildCertificate({
    ...rest,
    serial: serial ?? serialNumber(randomBytes(16)),
    subject: isCa ? { commonName: issuer } : {},
    issuer: { commonName: issuer },
    sans: isCa ? [] : [{ type: 'uri', value: id }],
    isCa,
    pathLength: undefined,
    keyUsage: isCa ? ['keyCertSign'] : ['digitalSignature'],
    extKeyUsage: isCa ? [] : extKeyUsage,
    authorityKeyId: undefined,
    sign: keySigner(issuerKey),
  });
}
