/**
 * A bill of materials in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/) of what is really in a bundle: the packages
 * whose files the bundler took, not all that are installed.
 */
import { createHash } from 'node:crypto';
import type { Lock } from './licences.ts';

export interface Bom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
}

export interface Component {
  readonly type: 'application' | 'library' | 'platform';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly group?: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[];
}

export interface Product {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

/** The folder of the package that a file of the bundle came from, as package-lock.json calls it. */
export function packageOf(file: string): string | undefined {
  return /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
}

const hashesOf = (integrity: string | undefined): Pick<Component, 'hashes'> => {
  const base64 = /^sha512-(.+)$/.exec(integrity ?? '')?.[1];
  if (base64 === undefined) return {};
  return { hashes: [{ alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }] };
};

function componentOf(path: string, lock: Lock, type: Component['type']): Component {
  const locked = lock.packages[path];
  if (locked?.version === undefined) throw new Error(`${path} is in a bundle and not in package-lock.json`);
  const full = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const [name = '', group] = full.split('/').reverse();
  // https://github.com/package-url/purl-spec: the @ of a scope is encoded.
  const purl = `pkg:npm/${full.replace('@', '%40')}@${locked.version}`;
  return {
    type,
    'bom-ref': purl,
    name,
    ...(group === undefined ? {} : { group }),
    version: locked.version,
    purl,
    ...(locked.license === undefined ? {} : { licenses: [{ expression: locked.license }] }),
    ...hashesOf(locked.integrity),
  };
}

/** The same for the same content: a build can be repeated. `runtime` is the package that brings Node, where that ships. */
export function billOfMaterials(
  product: Product,
  files: Iterable<string>,
  lock: Lock,
  runtime: string | undefined = undefined,
): Bom {
  const paths = new Set<string>();
  for (const file of files) {
    const path = packageOf(file);
    if (path !== undefined) paths.add(path);
  }
  const libraries = [...paths].map((path) => componentOf(path, lock, 'library'));
  const components = [
    ...new Map(
      [...libraries, ...(runtime === undefined ? [] : [componentOf(runtime, lock, 'platform')])].map((one) => [
        one['bom-ref'],
        one,
      ]),
    ).values(),
  ].sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const hash = createHash('sha256')
    .update(JSON.stringify([product, components]))
    .digest('hex');
  // RFC 9562 section 5.8: a UUID of version 8 is made as its maker likes.
  const uuid = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': `${product.name}@${product.version}`,
        name: product.name,
        version: product.version,
        licenses: [{ expression: product.license }],
      },
    },
    components,
  };
}
