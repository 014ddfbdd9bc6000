import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import { parse } from 'yaml';

/** What a client needs to reach one Kubernetes API, taken from the current context of a kubeconfig. */
export interface Connection {
  readonly server: URL;
  readonly caPem?: string;
  readonly certPem?: string;
  readonly keyPem?: string;
  readonly token?: string;
  readonly servername?: string;
  readonly insecureSkipVerify: boolean;
}

type ConnectionResult =
  | { readonly ok: true; readonly connection: Connection }
  | { readonly ok: false; readonly message: string };

type Section = Readonly<Record<string, unknown>>;

function section(value: unknown): Section {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function entry(list: unknown, name: string | undefined, field: string): Section | undefined {
  if (!Array.isArray(list)) return undefined;
  const found = list.map(section).find((item) => item['name'] === name);
  return found === undefined ? undefined : section(found[field]);
}

/** Data fields win over file fields, as in client-go; files are relative to the kubeconfig. */
function material(from: Section, key: string, directory: string): string | undefined {
  const data = text(from[`${key}-data`]);
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  const file = text(from[key]);
  return file === undefined ? undefined : readFileSync(resolve(directory, file), 'utf8');
}

export function parseKubeconfig(source: string, directory = '.'): ConnectionResult {
  let document: Section;
  try {
    document = section(parse(source));
  } catch (error) {
    return { ok: false, message: `not YAML: ${errorText(error)}` };
  }
  const current = text(document['current-context']);
  if (current === undefined) return { ok: false, message: 'no current-context' };
  const context = entry(document['contexts'], current, 'context');
  if (context === undefined) return { ok: false, message: `context ${current} is not defined` };
  const cluster = entry(document['clusters'], text(context['cluster']), 'cluster');
  if (cluster === undefined) return { ok: false, message: `cluster of context ${current} is not defined` };
  const user = entry(document['users'], text(context['user']), 'user') ?? {};
  const address = text(cluster['server']);
  if (address === undefined || !URL.canParse(address))
    return { ok: false, message: 'cluster has no usable server URL' };
  try {
    const caPem = material(cluster, 'certificate-authority', directory);
    const certPem = material(user, 'client-certificate', directory);
    const keyPem = material(user, 'client-key', directory);
    const tokenFile = text(user['tokenFile']);
    const token =
      text(user['token']) ?? (tokenFile ? readFileSync(resolve(directory, tokenFile), 'utf8').trim() : undefined);
    const servername = text(cluster['tls-server-name']);
    return {
      ok: true,
      connection: {
        server: new URL(address),
        insecureSkipVerify: cluster['insecure-skip-tls-verify'] === true,
        ...(caPem === undefined ? {} : { caPem }),
        ...(certPem === undefined ? {} : { certPem }),
        ...(keyPem === undefined ? {} : { keyPem }),
        ...(token === undefined ? {} : { token }),
        ...(servername === undefined ? {} : { servername }),
      },
    };
  } catch (error) {
    return { ok: false, message: errorText(error) };
  }
}

export function readKubeconfig(path: string): ConnectionResult {
  try {
    return parseKubeconfig(readFileSync(path, 'utf8'), dirname(path));
  } catch (error) {
    return { ok: false, message: errorText(error) };
  }
}
