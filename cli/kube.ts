import { existsSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

/** The API server answered that it will not. */
export class KubeRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Nothing came in time. */
export class KubeSilence extends Error {}

/** The cluster that a command looks at, by --kubeconfig, $KUBECONFIG, .weft/kubeconfig, ~/.kube/config, or in-cluster. */
export class Kube {
  readonly config: KubeConfig;

  private constructor(config: KubeConfig) {
    this.config = config;
  }

  static open(path: string | undefined): Kube {
    const config = new KubeConfig();
    const local = join(process.cwd(), '.weft', 'kubeconfig');
    if (path !== undefined) config.loadFromFile(path);
    else if (process.env['KUBECONFIG'] === undefined && existsSync(local)) config.loadFromFile(local);
    else config.loadFromDefault();
    return new Kube(config);
  }

  get server(): string {
    return this.config.getCurrentCluster()?.server ?? '';
  }

  /** GET of any path; undefined for 404, an error that says what and where for anything else. */
  get<T>(path: string, timeoutMs = 5_000, headers: Readonly<Record<string, string>> = {}): Promise<T | undefined> {
    return this.ask<T>('GET', path, undefined, timeoutMs, undefined, headers);
  }

  /** What the API server made of an object that it does not keep; undefined for 404. */
  answer<T>(path: string, object: unknown, timeoutMs = 5_000): Promise<T | undefined> {
    return this.ask<T>('POST', path, object, timeoutMs);
  }

  /** The same, of what is no JSON. */
  text(path: string, timeoutMs = 5_000): Promise<string | undefined> {
    return this.ask<string>('GET', path, undefined, timeoutMs, (text) => text);
  }

  create(path: string, object: unknown, timeoutMs = 5_000): Promise<void> {
    return this.ask<unknown>('POST', path, object, timeoutMs).then((created) => {
      if (created === undefined) throw new Error(`${path} is not there`);
    });
  }

  /** Merges into what is there; false when there is nothing of that name. */
  async patch(path: string, merge: unknown, timeoutMs = 5_000): Promise<boolean> {
    return (await this.ask<unknown>('PATCH', path, merge, timeoutMs)) !== undefined;
  }

  /** False when there is nothing of that name. */
  async delete(path: string, timeoutMs = 5_000): Promise<boolean> {
    return (await this.ask<unknown>('DELETE', path, undefined, timeoutMs)) !== undefined;
  }

  private async ask<T>(
    method: string,
    path: string,
    body: unknown,
    timeoutMs: number,
    parse = (text: string): T => JSON.parse(text) as T,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T | undefined> {
    const url = new URL(path, this.server);
    const signal = AbortSignal.timeout(timeoutMs);
    const options: Parameters<typeof request>[1] = {
      method,
      timeout: timeoutMs,
      signal,
      headers: {
        ...headers,
        ...(body === undefined
          ? {}
          : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
      },
    };
    await this.config.applyToHTTPSOptions(options);
    return new Promise((resolve, reject) => {
      const call = request(url, options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 404) return resolve(undefined);
          if (response.statusCode !== 200 && response.statusCode !== 201) {
            const { statusCode = 0 } = response;
            return reject(
              new KubeRefusal(statusCode, `${url.href} answered ${statusCode}: ${text.slice(0, 300).trim()}`),
            );
          }
          try {
            resolve(parse(text));
          } catch {
            reject(new Error(`${url.href} did not answer with JSON`));
          }
        });
      });
      call.on('error', (error) => {
        if (signal.aborted) reject(new KubeSilence(`${url.href} did not answer within ${timeoutMs} ms`));
        else reject(new Error(`${url.host} cannot be reached: ${error.message}`));
      });
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
