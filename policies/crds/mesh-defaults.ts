/** What the `Mesh` says of injected sidecars. The API server has checked it; this only reads. */

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

export function concurrencyOf(mesh: unknown): number | undefined {
  const spec = isObject(mesh) ? mesh['spec'] : undefined;
  const proxy = isObject(spec) ? spec['proxy'] : undefined;
  const value = isObject(proxy) ? proxy['concurrency'] : undefined;
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 ? value : undefined;
}
