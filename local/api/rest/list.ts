import type { JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { labelsOf } from '../object.ts';
import { badRequest, expired } from '../status.ts';
import {
  type FieldRequirement,
  type LabelRequirement,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from '../store/selectors.ts';
import { compareKeys, type Stored } from '../store/store.ts';
import type { ApiContext } from './context.ts';

/** What a list or watch is limited to. */
export interface Selection {
  readonly namespace: string;
  readonly labels: readonly LabelRequirement[];
  readonly fields: readonly FieldRequirement[];
}

export function readSelection(type: ResourceType, namespace: string, query: URLSearchParams, name = ''): Selection {
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  for (const { path } of fields) {
    if (path !== 'metadata.name' && path !== 'metadata.namespace' && !type.selectableFields.includes(path)) {
      throw badRequest(`field label not supported: ${path}`);
    }
  }
  if (name !== '') fields.push({ path: 'metadata.name', equals: true, value: name });
  return { namespace, labels: parseLabelSelector(query.get('labelSelector') ?? ''), fields };
}

/** `source` of core Events is selected by its component. */
const aliases: Readonly<Record<string, string>> = {
  source: 'source.component',
  reportingComponent: 'reportingComponent',
};

export function matches(selection: Selection, object: JsonObject): boolean {
  const fields = selection.fields.map((need) =>
    aliases[need.path] === undefined ? need : { ...need, path: aliases[need.path] ?? need.path },
  );
  return matchesLabels(selection.labels, labelsOf(object)) && matchesFields(fields, object);
}

export interface Page {
  readonly objects: readonly JsonObject[];
  readonly revision: number;
  readonly continueToken: string;
  readonly remaining: number;
}

interface ContinueToken {
  readonly revision: number;
  readonly namespace: string;
  readonly name: string;
}

const encodeToken = (token: ContinueToken): string =>
  Buffer.from(
    JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: `${token.namespace}/${token.name}` }),
  ).toString('base64url');

function decodeToken(text: string): ContinueToken {
  try {
    const parsed: { rv?: unknown; start?: unknown } = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    const [namespace = '', name = ''] = String(parsed.start).split('/');
    if (typeof parsed.rv === 'number') return { revision: parsed.rv, namespace, name };
  } catch {
    // Falls through to the refusal: a token is opaque to its bearer.
  }
  throw badRequest('continue key is not valid');
}

export function readRevision(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d+$/.test(text)) throw badRequest(`invalid resource version ${JSON.stringify(text)}`);
  return Number(text);
}

function startOf(context: ApiContext, query: URLSearchParams): { revision: number; after: ContinueToken | undefined } {
  const token = query.get('continue');
  if (token !== null && token !== '') {
    const after = decodeToken(token);
    return { revision: after.revision, after };
  }
  const asked = readRevision(query.get('resourceVersion'));
  const match = query.get('resourceVersionMatch') ?? '';
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(
      `resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "", "Exact", "NotOlderThan"`,
    );
  }
  if (match !== '' && asked === undefined) {
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    );
  }
  if (asked !== undefined && asked > context.store.revision) {
    throw badRequest(`Too large resource version: ${asked}, current: ${context.store.revision}`);
  }
  return { revision: match === 'Exact' && asked !== undefined ? asked : context.store.revision, after: undefined };
}

export function list(context: ApiContext, type: ResourceType, selection: Selection, query: URLSearchParams): Page {
  const limit = Math.min(Number(query.get('limit') ?? 0) || context.limits.listItemsMax, context.limits.listItemsMax);
  const { revision, after } = startOf(context, query);
  const snapshot = context.store.snapshot(type.storage, revision);
  if (snapshot === undefined) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
    );
  }
  const found: Stored[] = [];
  let remaining = 0;
  for (const stored of snapshot) {
    if (selection.namespace !== '' && stored.namespace !== selection.namespace) continue;
    if (after !== undefined && compareKeys(stored, after) <= 0) continue;
    if (!matches(selection, type.fromStorage(stored.object))) continue;
    if (found.length < limit) found.push(stored);
    else remaining++;
  }
  if (remaining > 0 && limit === context.limits.listItemsMax)
    context.counters.add('apiserver_refused_total', { limit: 'list' });
  const last = found.at(-1);
  const continueToken =
    remaining > 0 && last !== undefined ? encodeToken({ revision, namespace: last.namespace, name: last.name }) : '';
  return { objects: found.map((stored) => type.fromStorage(stored.object)), revision, continueToken, remaining };
}

export function listMeta(page: Page): JsonObject {
  return {
    resourceVersion: String(page.revision),
    ...(page.continueToken === '' ? {} : { continue: page.continueToken, remainingItemCount: page.remaining }),
  };
}
