/** Licences of everything that is installed, against what may be used: asked of package-lock.json, whose words are SPDX's. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** Permissive ones: they ask for their text to be kept, and for no more. */
const ALLOWED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'PSF-2.0',
  'Unlicense',
]);

/** Whether an SPDX expression can be met by allowed licences: one side of each OR, both of each AND. */
export function isAllowed(expression: string): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const one = (): boolean => {
    const token = tokens[at++] ?? '';
    if (token !== '(') return ALLOWED.has(token);
    const inner = either();
    return tokens[at++] === ')' && inner;
  };
  const all = (): boolean => {
    let met = one();
    while (tokens[at] === 'AND') {
      at++;
      met = one() && met;
    }
    return met;
  };
  function either(): boolean {
    let met = all();
    while (tokens[at] === 'OR') {
      at++;
      met = all() || met;
    }
    return met;
  }
  return either() && at === tokens.length;
}

/** What may not be used, or does not say. */
export function refusedLicences(lock: Lock): readonly string[] {
  return Object.entries(lock.packages)
    .filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
    .filter(([, { license = '' }]) => !isAllowed(license))
    .map(([path, { version, license }]) => `${path} ${version}: ${license ?? 'no licence is named'}`);
}

export function readLock(): Lock {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
}

if (import.meta.main) {
  const refused = refusedLicences(readLock());
  for (const line of refused) console.log(line);
  process.exitCode = refused.length === 0 ? 0 : 1;
}
