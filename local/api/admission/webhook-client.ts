import { request } from 'node:https';
import { isIP } from 'node:net';
import {
  asNumber,
  asObject,
  asObjects,
  asString,
  asStrings,
  at,
  isObject,
  type JsonObject,
  parseJson,
} from '../json.ts';
import type { Store } from '../store/store.ts';

/** One HTTPS call to a webhook, by URL or by Service: a Service is dialled at a ready endpoint and verified as `<service>.<namespace>.svc`. */
interface Target {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly serverName: string;
  readonly shown: string;
}

const responseBytesMax = 8 * 1024 * 1024;

function serviceTarget(store: Store, service: JsonObject, timeoutSeconds: number): Target | Error {
  const namespace = asString(service['namespace']);
  const name = asString(service['name']);
  const port = asNumber(service['port']) ?? 443;
  const path = `/${asString(service['path']).replace(/^\//, '')}`;
  const serverName = `${name}.${namespace}.svc`;
  const stored = store.get('/services', namespace, name);
  if (stored === undefined) return new Error(`service "${name}" not found`);
  const servicePort = asObjects(at(stored.object, 'spec', 'ports')).find((item) => item['port'] === port);
  if (servicePort === undefined) return new Error(`no service port ${port} found for service "${name}"`);
  const portName = asString(servicePort['name']);
  const candidates: { host: string; port: number }[] = [];
  for (const slice of store.list('discovery.k8s.io/endpointslices', namespace)) {
    if (at(slice.object, 'metadata', 'labels', 'kubernetes.io/service-name') !== name) continue;
    const targetPort = asNumber(
      asObjects(slice.object['ports']).find((item) => asString(item['name']) === portName)?.['port'],
    );
    if (targetPort === undefined) continue;
    for (const endpoint of asObjects(slice.object['endpoints'])) {
      if (at(endpoint, 'conditions', 'ready') === false) continue;
      for (const host of asStrings(endpoint['addresses'])) candidates.push({ host, port: targetPort });
    }
  }
  const chosen = candidates[Math.floor(Math.random() * candidates.length)];
  if (chosen === undefined) return new Error(`no endpoints available for service "${name}"`);
  return { ...chosen, path, serverName, shown: `https://${serverName}:${port}${path}?timeout=${timeoutSeconds}s` };
}

function targetOf(store: Store, client: JsonObject, timeoutSeconds: number): Target | Error {
  const service = asObject(client['service']);
  if (service !== undefined) return serviceTarget(store, service, timeoutSeconds);
  const url = new URL(asString(client['url']));
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(url.port || 443), path: url.pathname + url.search, serverName: host, shown: url.href };
}

export function callWebhook(store: Store, spec: JsonObject, review: JsonObject): Promise<JsonObject> {
  const client = asObject(spec['clientConfig']) ?? {};
  const timeoutSeconds = asNumber(spec['timeoutSeconds']) ?? 10;
  const target = targetOf(store, client, timeoutSeconds);
  if (target instanceof Error) return Promise.reject(target);
  return post(target, asString(client['caBundle']), JSON.stringify(review), timeoutSeconds).catch((error: Error) => {
    throw new Error(`Post "${target.shown}": ${error.message}`);
  });
}

function post(target: Target, caBundle: string, body: string, timeoutSeconds: number): Promise<JsonObject> {
  const separator = target.path.includes('?') ? '&' : '?';
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: target.host,
        port: target.port,
        path: `${target.path}${separator}timeout=${timeoutSeconds}s`,
        method: 'POST',
        servername: isIP(target.serverName) === 0 ? target.serverName : '',
        headers: {
          host: target.serverName,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
        ...(caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64').toString('utf8') }),
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > responseBytesMax) sent.destroy(new Error(`response is larger than ${responseBytesMax} bytes`));
          chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          clearTimeout(timer);
          const text = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode !== 200)
            reject(
              new Error(`an error on the server (${text.slice(0, 200)}) has prevented the request from succeeding`),
            );
          else resolve(readReview(text));
        });
      },
    );
    const timer = setTimeout(() => sent.destroy(new Error('context deadline exceeded')), timeoutSeconds * 1000);
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.end(body);
  });
}

function readReview(text: string): JsonObject {
  const parsed = parseJson(text);
  return isObject(parsed) ? parsed : {};
}
