import { readFileSync } from 'node:fs';
import { errorText } from '@weft/policies/kit/error-text';
import builtIn from './images.json' with { type: 'json' };
import { withFlags } from './node-flags.ts';

/**
 * `image:` names are looked up in a table: OCI images are not pulled here. An entry says which host program stands for the image; its
 * root file system is the host's, seen through an overlay, unless `root` names another folder.
 */
export interface Image {
  readonly image: string;
  /** A folder that becomes `/` instead of the host's root. */
  readonly root?: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  /** Folders that the program writes to although they belong to root: each becomes an empty tmpfs. */
  readonly tmpfs: readonly string[];
}

type ImageTable = ReadonlyMap<string, Image>;

type TableResult =
  | { readonly ok: true; readonly images: readonly Image[] }
  | { readonly ok: false; readonly message: string };

const KEYS = new Set(['image', 'root', 'entrypoint', 'cmd', 'env', 'workingDir', 'tmpfs']);

function strings(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  return Array.isArray(value) && value.every((item): item is string => typeof item === 'string') ? value : undefined;
}

function parseEntry(value: unknown, where: string): Image | string {
  if (typeof value !== 'object' || value === null) return `${where}: must be an object`;
  const entry: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(value));
  const unknown = Object.keys(entry).find((key) => !KEYS.has(key));
  if (unknown !== undefined) return `${where}.${unknown}: unknown key; known are ${[...KEYS].join(', ')}`;
  const { image, root, workingDir } = entry;
  if (typeof image !== 'string' || image === '') return `${where}.image: must be a name`;
  if (root !== undefined && (typeof root !== 'string' || !root.startsWith('/')))
    return `${where}.root: must be an absolute path`;
  if (workingDir !== undefined && typeof workingDir !== 'string') return `${where}.workingDir: must be a path`;
  const [entrypoint, cmd, tmpfs] = [strings(entry['entrypoint']), strings(entry['cmd']), strings(entry['tmpfs'])];
  if (entrypoint === undefined) return `${where}.entrypoint: must be a list of strings`;
  if (cmd === undefined) return `${where}.cmd: must be a list of strings`;
  if (tmpfs?.every((path) => path.startsWith('/')) !== true) return `${where}.tmpfs: must be a list of absolute paths`;
  const env: Record<string, string> = {};
  for (const [name, text] of Object.entries(entry['env'] ?? {})) {
    if (typeof text !== 'string') return `${where}.env.${name}: must be a string`;
    env[name] = text;
  }
  return {
    image,
    entrypoint: entrypoint.flatMap(withFlags),
    cmd,
    tmpfs: tmpfs ?? [],
    env,
    workingDir: workingDir ?? '/',
    ...(root === undefined ? {} : { root }),
  };
}

export function parseImages(document: unknown, source: string): TableResult {
  const list = typeof document === 'object' && document !== null && 'images' in document ? document.images : undefined;
  if (!Array.isArray(list)) return { ok: false, message: `${source}: must be {"images": [...]}` };
  const images: Image[] = [];
  for (const [index, item] of list.entries()) {
    const entry = parseEntry(item, `${source}: images[${index}]`);
    if (typeof entry === 'string') return { ok: false, message: entry };
    images.push(entry);
  }
  return { ok: true, images };
}

/** The built-in table with the user's own entries over it; a missing user file is no error. */
export function loadImages(userFile: string | undefined): { readonly table: ImageTable; readonly problem?: string } {
  const own = parseImages(builtIn, 'images.json');
  if (!own.ok) throw new Error(own.message);
  const table = new Map(own.images.map((image) => [image.image, image]));
  if (userFile === undefined) return { table };
  let source: string;
  try {
    source = readFileSync(userFile, 'utf8');
  } catch {
    return { table };
  }
  let document: unknown;
  try {
    document = JSON.parse(source);
  } catch (error) {
    return { table, problem: `${userFile}: ${errorText(error)}` };
  }
  const users = parseImages(document, userFile);
  if (!users.ok) return { table, problem: users.message };
  for (const image of users.images) table.set(image.image, image);
  return { table };
}

/**
 * The names under which a reference is looked up, the most exact first: as written, then without digest and tag, without Docker Hub's
 * registry and `library/`, and without any registry.
 */
export function lookupNames(reference: string): readonly string[] {
  const withoutDigest = reference.split('@')[0] ?? reference;
  const lastSlash = withoutDigest.lastIndexOf('/');
  const colon = withoutDigest.indexOf(':', lastSlash + 1);
  const untagged = colon < 0 ? withoutDigest : withoutDigest.slice(0, colon);
  const names = [reference, withoutDigest, untagged];
  for (const name of [withoutDigest, untagged]) {
    const parts = name.split('/');
    const first = parts[0] ?? '';
    // A first part with a dot or a port, or "localhost", is a registry (distribution's reference grammar).
    if (parts.length > 1 && (/[.:]/.test(first) || first === 'localhost')) names.push(parts.slice(1).join('/'));
  }
  for (const name of [...names]) if (name.startsWith('library/')) names.push(name.slice('library/'.length));
  return [...new Set(names)];
}

export function findImage(table: ImageTable, reference: string): Image | undefined {
  for (const name of lookupNames(reference)) {
    const image = table.get(name);
    if (image !== undefined) return image;
  }
  return undefined;
}

export function missingImageMessage(reference: string, userFile: string): string {
  const name = lookupNames(reference).at(-1) ?? reference;
  const line = JSON.stringify({ image: name, entrypoint: ['/path/to/program'], cmd: [] });
  return `image ${reference} is not in the local image table (OCI images are not pulled here); add this line to "images" in ${userFile}: ${line}`;
}
