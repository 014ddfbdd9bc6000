import type { JsonValue } from '@bufbuild/protobuf';

/** As deep as protobuf's own parsers go; no field of a bootstrap is near. */
const DEPTH_MAX = 100;
/** A string (RFC 8259 section 7), and whether it is the name of a member. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g;

/** Undefined when the text is no JSON object, is too deep, or names a member twice, of which `JSON.parse` keeps the last. */
export function parseJsonObject(text: string): JsonValue | undefined {
  // YAML in its own style is not tried in vain.
  if (!/^\s*\{/.test(text)) return undefined;
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const kept = countMembers(value, 0);
  if (kept === undefined) return undefined;
  let written = 0;
  for (const [, colon] of text.matchAll(STRING)) if (colon !== undefined) written++;
  return written === kept ? value : undefined;
}

/** Undefined when it is too deep. */
function countMembers(value: JsonValue, depth: number): number | undefined {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth === DEPTH_MAX) return undefined;
  const inside = Array.isArray(value) ? value : Object.values(value);
  let members = Array.isArray(value) ? 0 : inside.length;
  for (const one of inside) {
    const more = countMembers(one, depth + 1);
    if (more === undefined) return undefined;
    members += more;
  }
  return members;
}
