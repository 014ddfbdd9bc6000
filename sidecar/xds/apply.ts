import type { ResourceKind } from '@weft/policies/model/snapshot';
import { decodeResource } from '@weft/policies/wire/resource';
import type { DeltaEffect, ReceivedResource } from './delta-state.ts';
import type { Change } from './table-source.ts';

/** What decoding a response gave: the good resources go live, the bad are refused by name. */
export interface Decoded {
  readonly changes: readonly Change[];
  readonly accepted: readonly ReceivedResource[];
  readonly errors: readonly string[];
  /** Fields with numbers that this build does not know; ignored and counted. */
  readonly unknownFields: number;
}

/** Decodes every resource of a response, collecting errors, before anything is applied. */
export function decodeEffect(kind: ResourceKind, typeUrl: string, effect: DeltaEffect): Decoded {
  const changes: Change[] = [];
  const accepted: ReceivedResource[] = [];
  const errors: string[] = [];
  let unknownFields = 0;
  for (const resource of effect.upserts) {
    const decoded = decodeResource(typeUrl, resource.bytes);
    if (!decoded.ok) {
      for (const error of decoded.error) errors.push(`${resource.name}: ${error.path}: ${error.message}`);
      continue;
    }
    unknownFields += decoded.value.unknownFields;
    accepted.push(resource);
    changes.push({ kind, name: resource.name, entry: { value: decoded.value.value } } as Change);
  }
  for (const name of effect.removals) changes.push({ kind, name, entry: { absent: true } } as Change);
  return { changes, accepted, errors, unknownFields };
}
