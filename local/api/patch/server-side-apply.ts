import type { JsonObject } from '../json.ts';
import { clone } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import type { Call } from '../rest/context.ts';
import { applyStrategicPatch } from './strategic.ts';

export function applyServerSide(
  type: ResourceType,
  existing: JsonObject | undefined,
  applied: JsonObject,
  _call: Call,
  _subresource: string,
  _nowMs: number,
): JsonObject {
  return existing === undefined ? clone(applied) : applyStrategicPatch(existing, applied, type.schema);
}
