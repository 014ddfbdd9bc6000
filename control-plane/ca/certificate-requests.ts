/** `CertificateRequest` of cert-manager: an issuer of the cluster's signs what is asked here. */
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import type { KubeClient, KubeError } from '../kube/client.ts';
import type { IssuerSettings } from './settings.ts';

export type RequestState =
  | { readonly state: 'issued'; readonly chainPem: string; readonly anchorsPem: string }
  | { readonly state: 'refused'; readonly reason: string }
  | { readonly state: 'waiting'; readonly reason: string };

export interface CertificateRequests {
  /** Who signs, for messages and to see that it is another one now. */
  readonly issuer: string;
  nameOf(request: string): string;
  /** Undefined: there is no such request. */
  find(request: string): Promise<Result<RequestState | undefined, string>>;
  /** Also true where it exists already. */
  create(request: string, csrPem: string): Promise<Result<true, string>>;
  /** All of ours but this one and the newest go. */
  prune(but: string): Promise<Result<number, string>>;
}

/** Beside the one under way: enough to see why the last ones were refused. */
const keptMax = 2;
const pemCharsMax = 65_536;
const label = 'weft.dev/certificate-authority';

const pem = z
  .string()
  .max(pemCharsMax * 2)
  .nullish()
  .transform((text) => Buffer.from(text ?? '', 'base64').toString('utf8'));
const request = z.looseObject({
  metadata: z.looseObject({ name: z.string(), uid: z.string(), creationTimestamp: z.string() }),
  status: z
    .looseObject({
      conditions: z
        .array(
          z.looseObject({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
          }),
        )
        .nullish(),
      certificate: pem,
      ca: pem,
    })
    .nullish(),
});
const requestList = z.looseObject({ items: z.array(request) });

export class KubeCertificateRequests implements CertificateRequests {
  readonly issuer: string;
  private readonly client: KubeClient;
  private readonly namespace: string;
  private readonly path: string;
  private readonly settings: IssuerSettings;

  constructor(client: KubeClient, namespace: string, settings: IssuerSettings) {
    this.client = client;
    this.namespace = namespace;
    this.settings = settings;
    this.issuer = `${settings.kind}.${settings.group}/${settings.name}`;
    this.path = `/apis/cert-manager.io/v1/namespaces/${namespace}/certificaterequests`;
  }

  nameOf(name: string): string {
    return `CertificateRequest ${this.namespace}/${name}`;
  }

  async find(name: string): Promise<Result<RequestState | undefined, string>> {
    const answer = await this.client.get(`${this.path}/${name}`);
    if (!answer.ok)
      return answer.error.status === 404 ? ok(undefined) : err(`${this.nameOf(name)}: ${answer.error.message}`);
    const parsed = request.safeParse(answer.value);
    if (!parsed.success) return err(`${this.nameOf(name)}: the answer is no CertificateRequest`);
    return ok(stateOf(parsed.data, this.issuer));
  }

  async create(name: string, csrPem: string): Promise<Result<true, string>> {
    const { duration, name: issuer, kind, group } = this.settings;
    const answer = await this.client.create(this.path, {
      apiVersion: 'cert-manager.io/v1',
      kind: 'CertificateRequest',
      metadata: { name, namespace: this.namespace, labels: { [label]: 'weft-ca' } },
      spec: {
        issuerRef: { name: issuer, kind, group },
        isCA: true,
        usages: ['cert sign', 'crl sign', 'digital signature'],
        duration,
        request: Buffer.from(csrPem, 'utf8').toString('base64'),
      },
    });
    return answer.ok || answer.error.status === 409
      ? ok(true)
      : err(`${this.nameOf(name)}: ${explained(answer.error)}`);
  }

  async prune(but: string): Promise<Result<number, string>> {
    const answer = await this.client.get(this.path, { labelSelector: `${label}=weft-ca` });
    const parsed = answer.ok ? requestList.safeParse(answer.value) : undefined;
    if (!answer.ok) return err(`certificate requests: ${answer.error.message}`);
    if (parsed?.success !== true) return err('certificate requests: the answer is no list of them');
    const made = ({ metadata }: z.output<typeof request>): number => Date.parse(metadata.creationTimestamp);
    const others = parsed.data.items.filter((one) => one.metadata.name !== but);
    const old = others.sort((a, b) => made(b) - made(a)).slice(keptMax);
    for (const { metadata } of old) {
      const gone = await this.client.remove(`${this.path}/${metadata.name}`, { preconditions: { uid: metadata.uid } });
      if (!gone.ok && gone.error.status !== 404 && gone.error.status !== 409)
        return err(`${this.nameOf(metadata.name)}: ${gone.error.message}`);
    }
    return ok(old.length);
  }
}

const explained = ({ status, message }: KubeError): string =>
  status === 404 ? `${message} (is cert-manager installed?)` : message;

/** cert-manager's conditions: Denied and InvalidRequest are for good, and so is Ready with reason Failed or Denied. */
function stateOf({ status }: z.output<typeof request>, issuer: string): RequestState {
  const conditions = status?.conditions ?? [];
  const said = (type: string): string => {
    const found = conditions.find((one) => one.type === type);
    return [found?.reason, found?.message].filter((text) => text !== undefined && text !== '').join(': ');
  };
  const holds = (type: string): boolean => conditions.some((one) => one.type === type && one.status === 'True');
  if (holds('Denied')) return { state: 'refused', reason: `it was denied (${said('Denied')})` };
  if (holds('InvalidRequest')) return { state: 'refused', reason: `it is not valid (${said('InvalidRequest')})` };
  const ready = conditions.find((one) => one.type === 'Ready');
  if (ready?.status !== 'True') {
    const final = ready?.reason === 'Failed' || ready?.reason === 'Denied';
    if (final) return { state: 'refused', reason: `${issuer} did not sign it (${said('Ready')})` };
    const approved = holds('Approved');
    return {
      state: 'waiting',
      reason: ready !== undefined ? said('Ready') : approved ? `${issuer} has not answered` : 'it is not approved',
    };
  }
  const { certificate = '', ca = '' } = status ?? {};
  if (certificate === '') return { state: 'refused', reason: 'it is ready and has no certificate' };
  if (certificate.length > pemCharsMax || ca.length > pemCharsMax)
    return { state: 'refused', reason: `its certificates are longer than ${pemCharsMax} characters` };
  return { state: 'issued', chainPem: certificate, anchorsPem: ca };
}
