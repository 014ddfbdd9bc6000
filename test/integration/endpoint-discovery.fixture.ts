/** A cluster of type EDS behind a listener, and whose answers come through it. */
import { createServer } from 'node:http';
import { type At, bootstrap, cluster, httpListener, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { runSidecar } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import type { Surface } from './envoy-surface.fixture.ts';

/** Answers its name. */
export const application = (surface: Surface, name: string): Promise<At> =>
  surface.listen(createServer((_, response) => response.end(name)));

/** The cluster `of-cart`, of the service `cart`. */
export function ofCart(edsConfig: JsonObject): JsonObject {
  const { load_assignment: _, ...fields } = cluster({ name: 'of-cart', endpoints: [] });
  return { ...fields, type: 'EDS', eds_cluster_config: { service_name: 'cart', eds_config: edsConfig } };
}

export interface Made {
  readonly text: string;
  readonly port: number;
  readonly adminPort: number;
}

/** A bootstrap in which everything goes to `of-cart`, but for what the first routes say. */
export async function made(
  clusters: readonly JsonObject[],
  more: JsonObject = {},
  routes: readonly JsonObject[] = [],
): Promise<Made> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const listener = httpListener({
    name: 'web',
    at: { ip: '127.0.0.1', port },
    direction: 'OUTBOUND',
    routes: [...routes, route('any', '/', 'of-cart')],
  });
  const text = bootstrap({ id: 'edge-1', adminPort, listeners: [listener], clusters });
  return { text: JSON.stringify({ ...JSON.parse(text), ...more }), port, adminPort };
}

/** Body and status. */
export const answer = async (port: number): Promise<string> =>
  (await curl('-w', ' %{http_code}', `http://127.0.0.1:${port}/`)).stdout;

export const answers = (ports: readonly number[], wanted: string): Promise<unknown> =>
  waitFor(`the answer ${wanted}`, async () => {
    const all = await Promise.all(ports.map(answer));
    return all.every((one) => one === wanted) || undefined;
  });

/** A sidecar that serves, and is stopped with the surface. */
export async function serving(surface: Surface, text: string, ...more: readonly string[]): Promise<Program> {
  const program = runSidecar(surface.folder, text, ...more);
  surface.programs.push(program);
  await program.until('serving', () => program.stderr.includes(' serving '));
  return program;
}
