/** What operators bring: certificates and keys in the shapes that the field's tools write, checked before anything uses them. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { decodePem } from '@weft/policies/identity/x509/pem';
import { isP256, keySigner, type Signer } from '@weft/policies/identity/x509/signature';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import { Authority } from './authority.ts';
import { chainToAnchor, checkPath, type IssuedNames, isSelfSigned, type Names, parseLinks } from './chain.ts';

interface ChainMaterial {
  /** The issuing certificate first, then its intermediates; a self-signed one among them is an anchor. */
  readonly chainPem: string;
  /** Roots beside those of the chain. */
  readonly anchorsPem: string | undefined;
}

export interface KeyMaterial extends ChainMaterial {
  readonly privateKeyPem: Secret<string>;
}

const defaultNames: Names = { chain: 'ca.crt', key: 'ca.key', anchors: 'root-cert.pem' };

/** Ours; cert-manager's (type kubernetes.io/tls); Istio's `cacerts`. */
const shapes = [
  { chain: ['ca.crt'], key: 'ca.key', anchors: 'root-cert.pem' },
  { chain: ['tls.crt'], key: 'tls.key', anchors: 'ca.crt' },
  { chain: ['ca-cert.pem', 'cert-chain.pem'], key: 'ca-key.pem', anchors: 'root-cert.pem' },
] as const;

interface NamedMaterial extends KeyMaterial {
  readonly names: Names;
}

/** The material among named texts (keys of a Secret, files of a folder); undefined when none of the shapes is there. */
export function materialOf(
  texts: Readonly<Record<string, string | undefined>>,
): Result<NamedMaterial | undefined, string> {
  for (const shape of shapes) {
    const [first, ...more] = shape.chain;
    const [head, key] = [texts[first], texts[shape.key]];
    if (key === undefined) continue;
    if (head === undefined) return err(`there is ${shape.key} and no ${first}`);
    const names = { chain: first, key: shape.key, anchors: shape.anchors };
    const chainPem = [head, ...more.map((name) => texts[name] ?? '')].join('\n');
    return ok({ chainPem, anchorsPem: texts[shape.anchors], privateKeyPem: new Secret(key), names });
  }
  return ok(undefined);
}

export interface LoadOptions {
  readonly clock: Clock;
  readonly issued: IssuedNames;
  readonly names?: Names;
}

/** With a key in this process. */
export function loadAuthority(material: KeyMaterial, options: LoadOptions): Result<Authority, string> {
  const { names = defaultNames } = options;
  let key: KeyObject;
  try {
    key = createPrivateKey(material.privateKeyPem.reveal());
  } catch {
    return err(`${names.key}: not a private key in PEM (PKCS#8 or SEC 1, without a passphrase)`);
  }
  if (!isP256(key)) return err(`${names.key}: ${key.asymmetricKeyType ?? 'the key'} is not ECDSA P-256`);
  return loadChain(material, { publicKey: createPublicKey(key), sign: keySigner(key) }, options);
}

/** With a key anywhere. */
export function loadChain(
  material: ChainMaterial,
  key: { readonly publicKey: KeyObject; readonly sign: Signer },
  { clock, issued, names = defaultNames }: LoadOptions,
): Result<Authority, string> {
  const chainDers = decodePem('CERTIFICATE', material.chainPem);
  if (!chainDers.ok) return err(`${names.chain}: ${chainDers.error}`);
  const chain = parseLinks(chainDers.value);
  if (!chain.ok) return err(`${names.chain}: ${chain.error}`);
  const [issuing, ...others] = chain.value;
  if (issuing === undefined) return err(`${names.chain}: no certificate`);
  if (!key.publicKey.equals(issuing.certificate.publicKey))
    return err(`${names.key} is not the key of the first certificate in ${names.chain}`);
  const extraDers = material.anchorsPem === undefined ? ok([]) : decodePem('CERTIFICATE', material.anchorsPem);
  if (!extraDers.ok) return err(`${names.anchors}: ${extraDers.error}`);
  const extra = parseLinks(extraDers.value);
  if (!extra.ok) return err(`${names.anchors}: ${extra.error}`);
  // What stands in the bundle of roots is trusted as it is, self-signed or not.
  const anchors = [...chain.value.filter(isSelfSigned), ...extra.value];
  const path = chainToAnchor(issuing, others, anchors, names);
  if (!path.ok) return path;
  const checked = checkPath(path.value, issued, clock.unixMs(), names);
  if (!checked.ok) return checked;
  const parts = {
    certificate: issuing.certificate,
    der: issuing.der,
    intermediates: path.value.slice(0, -1).map((link) => link.der),
    anchor: path.value.at(-1)?.der ?? issuing.der,
    anchors: distinct(anchors.map((link) => link.der)),
    notAfterMs: Math.min(...path.value.map((link) => link.certificate.notAfterMs)),
    sign: key.sign,
  };
  return ok(new Authority(parts, clock));
}

export function distinct(ders: readonly Uint8Array[]): readonly Uint8Array[] {
  return ders.filter((der, index) => ders.findIndex((one) => Buffer.compare(one, der) === 0) === index);
}
