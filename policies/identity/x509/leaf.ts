/** Leaf certificates of one issuer: what all of them share is encoded once, since a mesh asks for thousands at a time. */
import { hash } from 'node:crypto';
import * as der from './der.ts';
import * as extension from './extensions.ts';
import type { SubjectAltName } from './names.ts';
import { algorithmIdentifier, type Signer, signed } from './signature.ts';
import { encodeTime } from './time.ts';

interface LeafTemplate {
  /** See `serialNumber`. */
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo of a P-256 key, as a request carries it once it has been checked. */
  readonly publicKeyDer: Uint8Array;
  /** At least one; the subject is empty, so that the names are critical. */
  readonly sans: readonly SubjectAltName[];
  readonly purposes: 'workload' | 'server';
}

const encoded = (node: der.DerNode): der.DerNode => der.raw(der.encode(node));

const version = encoded(der.context(0, [der.smallInteger(2)]));
const algorithm = encoded(algorithmIdentifier());
const emptySubject = encoded(der.sequence());
const constraints = [extension.basicConstraints(false, undefined), extension.keyUsage(['digitalSignature'])];
const beforeKeyId = (usages: readonly extension.ExtKeyUsage[]): readonly der.DerNode[] =>
  [...constraints, extension.extKeyUsage(usages)].map((one) => encoded(extension.encodeExtension(one)));
const purposes = { workload: beforeKeyId(['serverAuth', 'clientAuth']), server: beforeKeyId(['serverAuth']) } as const;

/** The algorithm and the curve come first, then the BIT STRING's tag, length and unused bits. */
const pointAt = 26;

export class LeafWriter {
  private readonly issuer: der.DerNode;
  private readonly authorityKeyId: der.DerNode;
  private readonly sign: Signer;
  /** Leaves of one second share their times. */
  private validity:
    | { readonly notBeforeMs: number; readonly notAfterMs: number; readonly node: der.DerNode }
    | undefined;

  constructor(issuer: { readonly nameDer: Uint8Array; readonly keyId: Uint8Array; readonly sign: Signer }) {
    this.issuer = der.raw(issuer.nameDer);
    this.authorityKeyId = encoded(extension.encodeExtension(extension.authorityKeyId(issuer.keyId)));
    this.sign = issuer.sign;
  }

  /** DER, signed. */
  write(template: LeafTemplate): Promise<Uint8Array> {
    const keyId = hash('sha256', template.publicKeyDer.subarray(pointAt), 'buffer').subarray(0, 20);
    const extensions = [
      ...purposes[template.purposes],
      extension.encodeExtension(extension.subjectKeyId(keyId)),
      this.authorityKeyId,
      extension.encodeExtension(extension.subjectAltName(template.sans, true)),
    ];
    const toBeSigned = der.sequence(
      version,
      der.unsignedInteger(template.serial),
      algorithm,
      this.issuer,
      this.validityOf(template.notBeforeMs, template.notAfterMs),
      emptySubject,
      der.raw(template.publicKeyDer),
      der.context(3, [der.sequence(...extensions)]),
    );
    return signed(toBeSigned, this.sign);
  }

  private validityOf(notBeforeMs: number, notAfterMs: number): der.DerNode {
    const wholeSeconds = (ms: number): number => ms - (ms % 1_000);
    const [before, after] = [wholeSeconds(notBeforeMs), wholeSeconds(notAfterMs)];
    if (this.validity?.notBeforeMs !== before || this.validity.notAfterMs !== after) {
      const node = encoded(der.sequence(encodeTime(before), encodeTime(after)));
      this.validity = { notBeforeMs: before, notAfterMs: after, node };
    }
    return this.validity.node;
  }
}
