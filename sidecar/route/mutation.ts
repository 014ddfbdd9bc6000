import type { HeaderMutation } from '@weft/policies/model/route';
import type { Headers } from '../http/headers.ts';

/** In Envoy's order: what is removed goes first (Gateway API, HTTPHeaderFilter: names are compared without case). */
export function applyMutation(headers: Headers, mutation: HeaderMutation): void {
  for (const lower of mutation.remove) headers.remove(lower);
  for (const field of mutation.set) headers.set(field.name, field.value);
  for (const field of mutation.add) headers.append(field.name, field.value);
}
