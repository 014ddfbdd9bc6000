/**
 * What holds of a policy that cannot be read and of which no version was read before: admission keeps such objects out, but
 * a newer schema may refuse what an older one took. Left aside as a whole it would open what it closed. So what can be read
 * of it counts, and in the place of the rest stands what lets nothing in that it may have kept out.
 */
import { type MeshObject, type ObjectKind, parseObject, unreadJwt } from '../index/objects.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Undefined: nothing of it closes anything. */
export function remainder(kind: ObjectKind, raw: unknown): MeshObject | undefined {
  if (!isFields(raw)) return undefined;
  const spec = isFields(raw['spec']) ? raw['spec'] : {};
  const read = (candidate: Fields): MeshObject | undefined => {
    const parsed = parseObject(kind, { ...raw, spec: candidate });
    return parsed.ok ? parsed.value : undefined;
  };
  switch (kind) {
    case 'AuthorizationPolicy':
      return ofAuthorization(spec, read);
    case 'AuthenticationPolicy':
      return ofAuthentication(spec, read);
    case 'Mesh':
      return ofModes(spec, read);
    default:
      return undefined;
  }
}

type Read = (spec: Fields) => MeshObject | undefined;

/** Those of the fields that can be read beside the others. */
function readable(fields: Fields, base: Fields, read: Read): Fields {
  let good: Fields = {};
  for (const [name, value] of Object.entries(fields)) {
    const more = { ...good, [name]: value };
    if (read({ ...base, ...more }) !== undefined) good = more;
  }
  return good;
}

const everything: Fields = {};

/** An ALLOW lets in by the rules that can be read alone; of what keeps out or asks, the parts that narrow it are left out. */
function ofAuthorization(spec: Fields, read: Read): MeshObject | undefined {
  const { selector, action = 'ALLOW', provider, rules } = spec;
  if (action === 'AUDIT') return undefined;
  const keepsOut = action !== 'ALLOW';
  const asks = action === 'CUSTOM' && read({ action, provider, rules: [everything] }) !== undefined;
  const acts = keepsOut ? (asks ? { action, provider } : { action: 'DENY' }) : { action };
  const chosen = selector === undefined ? {} : { selector };
  const whom = read({ ...acts, ...chosen, rules: [everything] }) === undefined ? {} : chosen;
  const listed: readonly unknown[] = Array.isArray(rules) ? rules : keepsOut ? [everything] : [];
  const kept = listed.flatMap((rule): unknown[] => {
    if (read({ ...acts, rules: [rule] }) !== undefined) return [rule];
    if (!keepsOut) return [];
    const parts = isFields(rule) ? rule : everything;
    return [readableRule(parts, acts, read)];
  });
  return read({ ...acts, ...whom, rules: kept }) ?? read({ ...acts, ...whom, rules: keepsOut ? [everything] : [] });
}

function readableRule(parts: Fields, acts: Fields, read: Read): Fields {
  const asRule: Read = (rule) => read({ ...acts, rules: [rule] });
  return readable(parts, {}, asRule);
}

const strict = { mtls: { mode: 'STRICT' } };

/** Modes that cannot be read may have been STRICT. */
function ofModes(spec: Fields, read: Read): MeshObject | undefined {
  const good = readable(spec, strict, read);
  const lost = (field: string): boolean => field in spec && !(field in good);
  // Whose modes they are is not known, and they must not become those of all.
  if (lost('selector')) return read(strict);
  return read(lost('mtls') || lost('ports') ? { ...good, ...strict } : good);
}

/** Tokens that cannot be checked as the policy says are not checked less, nor may anybody write the headers of claims. */
function ofAuthentication(spec: Fields, read: Read): MeshObject | undefined {
  const { jwt, ...others } = spec;
  const lost = (field: string): boolean => field in spec && read({ ...strict, [field]: spec[field] }) === undefined;
  if (jwt === undefined || !(lost('jwt') || lost('selector'))) return ofModes(spec, read);
  const saysModes = 'mtls' in spec || 'ports' in spec || lost('selector');
  const rest = ofModes(saysModes ? others : { ...others, ...strict }, read);
  if (rest?.kind !== 'AuthenticationPolicy') return undefined;
  const { mtls: _mtls, ...without } = rest.spec;
  return { ...rest, spec: { ...(saysModes ? rest.spec : without), jwt: unreadJwt } };
}
