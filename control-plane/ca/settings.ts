/** Where the signing key lives: an operator's setting of this control plane, not a policy. */
import { durationMs } from '@weft/policies/crds/duration';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Pkcs11Setup } from './pkcs11/signer.ts';

/** Which of cert-manager's issuers signs, and what it is asked for. */
export interface IssuerSettings {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  /** As the field `duration` has it, such as 2160h. */
  readonly duration: string;
}

export type CaSettings =
  | { readonly source: 'secret' }
  | { readonly source: 'cert-manager'; readonly issuer: IssuerSettings }
  | { readonly source: 'files'; readonly dir: string }
  | { readonly source: 'pkcs11'; readonly dir: string; readonly setup: Pkcs11Setup };

export const caUsage = `WEFT_CA_SOURCE (secret, files, cert-manager or pkcs11), WEFT_CA_DIR (/var/run/weft/ca: the files of files and pkcs11),
WEFT_CA_ISSUER_NAME, WEFT_CA_ISSUER_KIND (Issuer), WEFT_CA_ISSUER_GROUP (cert-manager.io), WEFT_CA_DURATION (2160h),
WEFT_CA_PKCS11_MODULE, WEFT_CA_PKCS11_TOKEN, WEFT_CA_PKCS11_KEY_LABEL, WEFT_CA_PKCS11_KEY_ID, WEFT_CA_PKCS11_PIN_FILE`;

type Environment = Readonly<Record<string, string | undefined>>;

export function parseCaSettings(env: Environment): Result<CaSettings, string> {
  const { WEFT_CA_SOURCE: source = 'secret', WEFT_CA_DIR: dir = '/var/run/weft/ca' } = env;
  if (source === 'secret') return ok({ source });
  if (source === 'files') return ok({ source, dir });
  if (source === 'cert-manager') return issuerSettings(env);
  if (source !== 'pkcs11') return err(`WEFT_CA_SOURCE: "${source}" is none of secret, files, cert-manager, pkcs11`);
  const {
    WEFT_CA_PKCS11_MODULE: module = '',
    WEFT_CA_PKCS11_TOKEN: tokenLabel = '',
    WEFT_CA_PKCS11_KEY_LABEL: keyLabel,
    WEFT_CA_PKCS11_KEY_ID: keyIdHex,
    WEFT_CA_PKCS11_PIN_FILE: pinFile = '/var/run/weft/ca/pin',
  } = env;
  if (!module.startsWith('/')) return err('WEFT_CA_PKCS11_MODULE: the absolute path of the module is missing');
  if (tokenLabel === '') return err('WEFT_CA_PKCS11_TOKEN: the label of the token is missing');
  if (keyLabel === undefined && keyIdHex === undefined)
    return err('WEFT_CA_PKCS11_KEY_LABEL or WEFT_CA_PKCS11_KEY_ID must say which key signs');
  if (keyIdHex !== undefined && !/^([0-9a-fA-F]{2}){1,64}$/.test(keyIdHex))
    return err(`WEFT_CA_PKCS11_KEY_ID: "${keyIdHex}" is not a row of octets in hexadecimal`);
  return ok({ source, dir, setup: { module, tokenLabel, keyLabel, keyIdHex, pinFile } });
}

/** cert-manager signs nothing that is to live shorter. */
const durationMsMin = 3_600_000;

function issuerSettings(env: Environment): Result<CaSettings, string> {
  const {
    WEFT_CA_ISSUER_NAME: name = '',
    WEFT_CA_ISSUER_KIND: kind = 'Issuer',
    WEFT_CA_ISSUER_GROUP: group = 'cert-manager.io',
    WEFT_CA_DURATION: duration = '2160h',
  } = env;
  if (name === '') return err('WEFT_CA_ISSUER_NAME: the name of the issuer is missing');
  if ((durationMs(duration) ?? 0) < durationMsMin)
    return err(`WEFT_CA_DURATION: "${duration}" is no duration of at least an hour, such as 2160h`);
  return ok({ source: 'cert-manager', issuer: { name, kind, group, duration } });
}
