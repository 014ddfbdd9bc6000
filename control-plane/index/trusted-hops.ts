/** Says of a pod how many proxies in front of it are believed; otherwise the mesh does. */
const TRUSTED_HOPS_ANNOTATION = 'proxy.weft.dev/trusted-hops';

export const TRUSTED_HOPS_MAX = 16;

/** The webhook refuses a pod that says anything else than a number within the bound; here that says nothing. */
export function trustedHopsOf(annotations: Readonly<Record<string, string>>): number | undefined {
  const text = annotations[TRUSTED_HOPS_ANNOTATION]?.trim() ?? '';
  if (!/^[0-9]{1,2}$/.test(text)) return undefined;
  const hops = Number(text);
  return hops <= TRUSTED_HOPS_MAX ? hops : undefined;
}
