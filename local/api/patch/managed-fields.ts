import type { JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import type { Call } from '../rest/context.ts';

export function trackWrite(
  _type: ResourceType,
  _object: JsonObject,
  _old: JsonObject | undefined,
  _call: Call,
  _subresource: string,
  _nowMs: number,
): void {}
