/** Fetches a key set from an issuer: bounded in time and size, no redirects, and nowhere that a policy must not lead. */
import { lookup as resolve } from 'node:dns';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { publicKeysOf } from '@weft/policies/identity/jwks';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';

const timeoutMs = 10_000;
const bytesMax = 262_144;
/** What a sidecar takes of each set; a policy's own may not be larger either. */
const keysCharsMax = 65_536;

interface FetchOptions {
  readonly isAllowed: (ip: string) => boolean;
  /** Authorities that are trusted beside the public ones. */
  readonly ca?: string;
}

const forbidden = new BlockList();
for (const [ip, bits] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
  // Where clouds keep credentials at other addresses than link-local ones.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
] as const) {
  forbidden.addSubnet(ip, bits, 'ipv4');
}
for (const [ip, bits] of [
  ['::', 127],
  ['fe80::', 10],
  ['ff00::', 8],
  ['fd00:ec2::', 32],
  ['fd20:ce::254', 128],
  // The same by way of a translator (RFC 6052).
  ['64:ff9b::7f00:0', 104],
  ['64:ff9b::a9fe:0', 112],
] as const) {
  forbidden.addSubnet(ip, bits, 'ipv6');
}

/** Not the control plane itself, nor what its node keeps at link-local addresses, such as credentials of a cloud. */
export function mayBeFetchedFrom(ip: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined) return mayBeFetchedFrom(mapped);
  return !forbidden.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
}

/** Resolves with public keys alone, as JSON. */
export async function fetchKeySet(uri: string, options: FetchOptions): Promise<Result<string, string>> {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    return err('the URI is not valid');
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !options.isAllowed(host)) return err(`${host} is an address that keys are not fetched from`);
  try {
    const body = await get(url, options);
    return keysIn(body);
  } catch (error) {
    return err(errorText(error));
  }
}

function keysIn(body: string): Result<string, string> {
  const keys = publicKeysOf(body);
  if (keys === undefined) return err('the answer is not a JSON Web Key Set');
  if (keys.length === 0) return err('the answer has no key that verifies tokens');
  const text = JSON.stringify({ keys });
  return text.length > keysCharsMax ? err(`the key set has more than ${keysCharsMax} characters`) : ok(text);
}

function get(url: URL, { isAllowed, ca }: FetchOptions): Promise<string> {
  // Checked on the address that is connected to, so that a name cannot change its meaning in between.
  const lookup: LookupFunction = (hostname, lookupOptions, done) => {
    resolve(hostname, { ...lookupOptions, all: true }, (error, found) => {
      const allowed = error === null ? found.filter(({ address }) => isAllowed(address)) : [];
      const [first] = allowed;
      if (error !== null) done(error, '', 0);
      else if (first === undefined) {
        done(new Error(`${hostname} has no address that keys are fetched from`), '', 0);
      } else if (lookupOptions.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };
  const options: RequestOptions = {
    lookup,
    agent: false,
    headers: { accept: 'application/json, application/jwk-set+json' },
    signal: AbortSignal.timeout(timeoutMs),
  };
  return new Promise((done, fail) => {
    const take = (response: IncomingMessage): void => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) {
        response.destroy();
        fail(
          new Error(`HTTP ${statusCode}${statusCode >= 300 && statusCode < 400 ? ', redirects are not followed' : ''}`),
        );
        return;
      }
      collect(response, done, fail);
    };
    const request =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...(ca === undefined ? {} : { ca }) }, take)
        : httpRequest(url, options, take);
    request.on('error', fail);
    request.end();
  });
}

function collect(response: IncomingMessage, done: (text: string) => void, fail: (error: Error) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) {
      chunks.push(chunk);
      return;
    }
    fail(new Error(`the answer has more than ${bytesMax} bytes`));
    response.destroy();
  });
  response.on('end', () => done(Buffer.concat(chunks).toString('utf8')));
  response.on('error', fail);
}
