/** Endpoints in a file: a DiscoveryResponse in its JSON form, as Envoy reads it for a `path_config_source`. */
import type { JsonValue } from '@bufbuild/protobuf';
import { err, ok, type Result } from '../kit/result.ts';
import type { EndpointAssignment } from '../model/cluster.ts';
import { type At, Decoding, type WireError } from './decoding.ts';
import { decodeEndpoints } from './endpoints.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { messageFromJson } from './json.ts';
import { isRecord } from './json-record.ts';
import { typeUrls } from './type-urls.ts';

/** What says nothing of endpoints. `version_info` is for people: what is in the file counts. */
const OTHER_FIELDS = new Set(['version_info', 'versionInfo', 'type_url', 'typeUrl', 'nonce']);

export type ReadEndpoints = Result<EndpointAssignment, readonly WireError[]>;

/** Those of each of these services, each once in a file. What is wrong with the file is wrong for all of them. */
export function decodeEndpointFile(
  json: JsonValue,
  serviceNames: readonly string[],
): ReadonlyMap<string, ReadEndpoints> {
  const decoding = new Decoding(true);
  const at = decoding.at('resources');
  const all = resourcesOf(json, decoding).map((resource, i) => decodeAssignment(resource, at.index(i)));
  const byName = Map.groupBy(all, (one) => one?.clusterName);
  return new Map(serviceNames.map((name) => [name, theOne(name, byName.get(name) ?? [], decoding.errors)]));
}

function theOne(
  name: string,
  [found, second]: readonly (EndpointAssignment | undefined)[],
  errors: readonly WireError[],
): ReadEndpoints {
  const wrong = (message: string): ReadEndpoints => err([...errors, { path: 'resources', message }]);
  if (found === undefined) return wrong(`there is no ClusterLoadAssignment of cluster_name "${name}"`);
  if (second !== undefined) return wrong(`cluster_name "${name}" occurs twice`);
  return errors.length > 0 ? err(errors) : ok(found);
}

function resourcesOf(json: JsonValue, decoding: Decoding): readonly JsonValue[] {
  if (!isRecord(json)) return decoding.at('').fail('has to be an object (DiscoveryResponse)', []);
  const { resources = [], ...others } = json;
  for (const key of Object.keys(others)) {
    if (!OTHER_FIELDS.has(key)) decoding.at(key).fail('is not supported by Weft in a file of endpoints', undefined);
  }
  return Array.isArray(resources) ? resources : decoding.at('resources').fail('has to be a list', []);
}

function decodeAssignment(json: JsonValue, at: At): EndpointAssignment | undefined {
  const type = isRecord(json) ? json['@type'] : undefined;
  if (!isRecord(json) || type !== typeUrls.endpoints) {
    return at.fail(`has to be an object with "@type": "${typeUrls.endpoints}"`, undefined);
  }
  const { '@type': _, ...fields } = json;
  const message = messageFromJson(ClusterLoadAssignmentSchema, fields, at);
  return message && decodeEndpoints(message, at);
}
