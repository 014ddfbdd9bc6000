import { clone, type JsonObject } from '../json.ts';

/** Events are one store served as core/v1 and as events.k8s.io/v1, which names half of its fields differently. */
const renamed: readonly (readonly [core: string, events: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
];

function rename(object: JsonObject, pairs: readonly (readonly [string, string])[], apiVersion: string): JsonObject {
  const out = clone(object);
  for (const [from, to] of pairs) {
    const value = out[from];
    delete out[from];
    if (value !== undefined) out[to] = value;
  }
  out['apiVersion'] = apiVersion;
  return out;
}

export const fromStoredEvent = (object: JsonObject): JsonObject => rename(object, renamed, 'events.k8s.io/v1');

export const toStoredEvent = (object: JsonObject): JsonObject =>
  rename(
    object,
    renamed.map(([core, events]) => [events, core]),
    'v1',
  );
