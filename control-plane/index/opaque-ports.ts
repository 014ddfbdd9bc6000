/** Says of a pod's or a Service's ports, by number, that what they carry is not to be looked at. */
const OPAQUE_PORTS_ANNOTATION = 'proxy.weft.dev/opaque-ports';

const PORTS_MAX = 256;
const none: readonly number[] = [];

/**
 * Ports separated by commas, blanks allowed. The webhook refuses a pod whose list has anything else; of a Service, which
 * it does not see, what is no port says nothing.
 */
export function opaquePortsOf(annotations: Readonly<Record<string, string>>): readonly number[] {
  const text = annotations[OPAQUE_PORTS_ANNOTATION];
  if (text === undefined) return none;
  return text
    .split(',', PORTS_MAX)
    .map((entry) => (/^\s*[0-9]{1,5}\s*$/.test(entry) ? Number(entry) : 0))
    .filter((port) => port > 0 && port <= 65_535);
}
