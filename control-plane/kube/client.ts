/** The Kubernetes API by path, through @kubernetes/client-node's configuration and transport. */
import { HttpMethod, IsomorphicFetchHttpLibrary, KubeConfig, RequestContext, Watch } from '@kubernetes/client-node';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';

export type { KubeConfig };

export interface KubeError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly message: string;
}

type PatchType = 'application/merge-patch+json' | 'application/json-patch+json' | 'application/apply-patch+yaml';

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: PatchType | 'application/json';
}

const requestTimeoutMs = 10_000;

/** Inside a cluster by its service account, otherwise by a kubeconfig. */
export function loadKubeConfig(env: Readonly<Record<string, string | undefined>>): KubeConfig {
  const config = new KubeConfig();
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined && env['KUBECONFIG'] === undefined) config.loadFromCluster();
  else config.loadFromDefault();
  return config;
}

export class KubeClient {
  private readonly config: KubeConfig;
  private readonly http = new IsomorphicFetchHttpLibrary();

  constructor(config: KubeConfig) {
    this.config = config;
  }

  get(path: string, query: Readonly<Record<string, string>> = {}): Promise<Result<unknown, KubeError>> {
    return this.request(HttpMethod.GET, path, { query });
  }

  create(path: string, body: unknown): Promise<Result<unknown, KubeError>> {
    return this.request(HttpMethod.POST, path, { body, contentType: 'application/json' });
  }

  replace(path: string, body: unknown): Promise<Result<unknown, KubeError>> {
    return this.request(HttpMethod.PUT, path, { body, contentType: 'application/json' });
  }

  /** `options`: a DeleteOptions, such as preconditions. */
  remove(path: string, options: unknown): Promise<Result<unknown, KubeError>> {
    return this.request(HttpMethod.DELETE, path, { body: options, contentType: 'application/json' });
  }

  patch(path: string, contentType: PatchType, body: unknown): Promise<Result<unknown, KubeError>> {
    return this.request(HttpMethod.PATCH, path, { body, contentType });
  }

  /** Calls `event` for each line; resolves when the watch has ended, with the reason if there is one. */
  async watch(
    path: string,
    query: Readonly<Record<string, string>>,
    event: (type: string, object: unknown) => void,
    signal: AbortSignal,
  ): Promise<KubeError | undefined> {
    if (signal.aborted) return undefined;
    const watch = new Watch(this.config);
    return new Promise((resolve) => {
      const started = watch.watch(path, { ...query }, event, (error: unknown) => resolve(watchError(error)));
      started.then(
        (controller) => {
          if (signal.aborted) controller.abort();
          else signal.addEventListener('abort', () => controller.abort(), { once: true });
        },
        (error: unknown) => resolve({ status: 0, message: errorText(error) }),
      );
    });
  }

  private async request(
    method: HttpMethod,
    path: string,
    options: RequestOptions,
  ): Promise<Result<unknown, KubeError>> {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) return err({ status: 0, message: 'the kubeconfig names no cluster' });
    const url = new URL(cluster.server + path);
    for (const [name, value] of Object.entries(options.query ?? {})) url.searchParams.set(name, value);
    const context = new RequestContext(url.toString(), method);
    context.setHeaderParam('accept', 'application/json');
    if (options.body !== undefined) {
      context.setHeaderParam('content-type', options.contentType ?? 'application/json');
      context.setBody(JSON.stringify(options.body));
    }
    context.setSignal(AbortSignal.timeout(requestTimeoutMs));
    try {
      await this.config.applySecurityAuthentication(context);
      const response = await this.http.send(context).toPromise();
      const body = parseJson(await response.body.text());
      if (response.httpStatusCode >= 200 && response.httpStatusCode < 300) return ok(body);
      return err({ status: response.httpStatusCode, message: messageOf(body) ?? `HTTP ${response.httpStatusCode}` });
    } catch (error) {
      return err({ status: 0, message: `${method} ${path}: ${causeText(error)}` });
    }
  }
}

function watchError(error: unknown): KubeError | undefined {
  if (error === null || error === undefined) return undefined;
  const statusCode = typeof error === 'object' && 'statusCode' in error ? error.statusCode : undefined;
  // Silence is no error: the watch goes on from where it was.
  if (error instanceof DOMException && (error.name === 'TimeoutError' || error.name === 'AbortError')) return undefined;
  return { status: typeof statusCode === 'number' ? statusCode : 0, message: causeText(error) };
}

/** fetch says "fetch failed" and hides the reason behind it. */
function causeText(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? error.cause.message : errorText(error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messageOf(body: unknown): string | undefined {
  return typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string'
    ? body.message
    : undefined;
}
