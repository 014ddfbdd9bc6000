import { asObjects, asString, at, type JsonObject } from '../json.ts';
import { notFound, StatusError } from '../status.ts';
import type { ApiContext } from './context.ts';

/** exec, attach and port-forward are streams that this API does not carry; who asks is told what does the same here. */
const streams = new Set(['exec', 'attach', 'portforward']);

export const isStream = (plural: string, subresource: string): boolean => plural === 'pods' && streams.has(subresource);

/** Containers are processes of this machine, named by their containerID (`process://<pid>`). */
function processOf(pod: JsonObject, container: string): string {
  const statuses = ['containerStatuses', 'initContainerStatuses'].flatMap((list) => asObjects(at(pod, 'status', list)));
  const status = statuses.find((item) => container === '' || item['name'] === container);
  return /^process:\/\/(\d+)$/.exec(asString(status?.['containerID']))?.[1] ?? '<pid>';
}

export function refuseStream(
  context: ApiContext,
  namespace: string,
  name: string,
  subresource: string,
  query: URLSearchParams,
): never {
  const pod = context.store.get('/pods', namespace, name)?.object;
  if (pod === undefined) throw notFound({ group: '', plural: 'pods' }, name);
  const pid = processOf(pod, query.get('container') ?? '');
  const ip = asString(at(pod, 'status', 'podIP')) || 'its address';
  const instead: Readonly<Record<string, string>> = {
    exec: `as root on this machine, run: nsenter --target ${pid} --all -- ${query.getAll('command').join(' ') || 'sh'}`,
    attach: `read its output with: kubectl logs -f -n ${namespace} ${name}`,
    portforward: `connect to the pod from this machine directly, at ${ip}`,
  };
  const message = `${subresource} is not supported by this embedded API; ${instead[subresource] ?? ''}`;
  throw new StatusError(501, 'NotImplemented', message);
}
