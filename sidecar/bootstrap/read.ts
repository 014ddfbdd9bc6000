import type { JsonValue } from '@bufbuild/protobuf';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type BootstrapConfig, decodeBootstrap } from '@weft/policies/wire/bootstrap-decode';
import { WIRE_ERRORS_MAX, type WireError } from '@weft/policies/wire/decoding';
import { decodeEndpointFile, type ReadEndpoints } from '@weft/policies/wire/endpoint-file';
import { parseDocument } from 'yaml';
import { parseJsonObject } from './json.ts';
import { checkReferences } from './references.ts';
import { TEXT_BYTES_MAX } from './text-limit.ts';

/**
 * What a text says, as data alone: nothing of it may refer to code in here, since its caller lets all of that go. It is
 * synchronous for the same reason. Whatever Weft does not act on is an error that names its path.
 */
export function readBootstrap(text: string): Result<BootstrapConfig, readonly WireError[]> {
  const json = parse(text);
  if (!json.ok) return json;
  const decoded = decodeBootstrap(json.value);
  if (!decoded.ok) return decoded;
  const config = withListenerNames(decoded.value);
  if (config.listeners.length === 0) {
    return err([{ path: 'static_resources.listeners', message: 'at least one is required' }]);
  }
  const errors = checkReferences(config);
  return errors.length > 0 ? err(errors) : ok(config);
}

/** What a file says of the endpoints of services, on the same terms. */
export function readEndpoints(text: string, serviceNames: readonly string[]): ReadonlyMap<string, ReadEndpoints> {
  const json = parse(text);
  return json.ok ? decodeEndpointFile(json.value, serviceNames) : new Map(serviceNames.map((name) => [name, json]));
}

/** JSON is YAML, but takes a tenth of the time when read as JSON. What is wrong with a text is for the YAML parser to say. */
function parse(text: string): Result<JsonValue, readonly WireError[]> {
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX) {
    return err([{ path: '', message: `is longer than ${TEXT_BYTES_MAX} bytes` }]);
  }
  const json = parseJsonObject(text);
  return json === undefined ? parseYaml(text) : ok(json);
}

function parseYaml(text: string): Result<JsonValue, readonly WireError[]> {
  try {
    const document = parseDocument(text, { schema: 'core', uniqueKeys: true });
    // The first line says what and where; the next ones quote the file, in which there may be keys.
    if (document.errors.length > 0)
      return err(document.errors.slice(0, WIRE_ERRORS_MAX).map(({ message }) => notYaml(message)));
    const value: JsonValue = document.toJS({ maxAliasCount: 100 });
    if (!hasEnd(value)) return err([notYaml('an alias names what it is in')]);
    return ok(value);
  } catch (error) {
    // It grows by aliases beyond reason, or is nested deeper than the stack is.
    return err([notYaml(errorText(error))]);
  }
}

/** Two aliases of what they are in are a tree without end that doubles at each step. */
function hasEnd(value: JsonValue): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

const notYaml = (message: string): WireError => ({ path: '', message: `not YAML: ${message.split('\n', 1)[0]}` });

/** Envoy makes up a name as well, where there is none. */
const withListenerNames = (config: BootstrapConfig): BootstrapConfig => ({
  ...config,
  listeners: config.listeners.map((listener, i) =>
    listener.name === '' ? { ...listener, name: `listener-${i}` } : listener,
  ),
});
