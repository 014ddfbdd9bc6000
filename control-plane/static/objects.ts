/** Kubernetes objects from YAML text: the control plane's source where there is no Kubernetes. */
import { err, ok, type Result } from '@weft/policies/kit/result';
import { parseAllDocuments } from 'yaml';
import { isObjectKind, type MeshObject, parseObject } from '../index/objects.ts';

const documentsMax = 10_000;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type RawObject = Readonly<Record<string, unknown>>;

export interface ParsedObjects {
  readonly objects: readonly MeshObject[];
  /** Of kinds that the mesh does not look at. */
  readonly others: readonly RawObject[];
}

/** Every object of the text that the mesh looks at, Lists unpacked. */
export function parseObjects(text: string): Result<readonly MeshObject[], string> {
  const parsed = parseAllObjects(text);
  return parsed.ok ? ok(parsed.value.objects) : parsed;
}

export function parseAllObjects(text: string): Result<ParsedObjects, string> {
  const documents = parseAllDocuments(text);
  if ('empty' in documents) return ok({ objects: [], others: [] });
  if (documents.length > documentsMax) return err(`more than ${documentsMax} documents`);
  const objects: MeshObject[] = [];
  const others: RawObject[] = [];
  for (const [index, document] of documents.entries()) {
    const at = `document ${index + 1}`;
    const [problem] = document.errors;
    if (problem !== undefined) return err(`${at}: ${problem.message}`);
    const raw: unknown = document.toJS();
    if (raw === null) continue;
    if (!isRecord(raw)) return err(`${at}: not an object`);
    const items = raw['kind'] === 'List' && Array.isArray(raw['items']) ? raw['items'] : [raw];
    for (const item of items) {
      if (!isRecord(item) || typeof item['kind'] !== 'string') return err(`${at}: has no kind`);
      if (!isObjectKind(item['kind'])) {
        others.push(item);
        continue;
      }
      const parsed = parseObject(item['kind'], item);
      if (!parsed.ok) return err(`${at}: ${item['kind']} ${nameOf(item)}: ${parsed.error}`);
      objects.push(parsed.value);
    }
  }
  return ok({ objects, others });
}

function nameOf(object: Readonly<Record<string, unknown>>): string {
  const { metadata } = object;
  if (!isRecord(metadata)) return '';
  const { namespace, name } = metadata;
  return [namespace, name].filter((part) => typeof part === 'string').join('/');
}
