/**
 * Writes what V8 has compiled of a bundle beside it, after the bundle was used: what is compiled when it is first called
 * is in it too. Run by the Node, and with the flags, that will load it: V8 takes no other's.
 *
 *   node <flags> scripts/code-cache.ts <folder>/read.cjs            writes <folder>/read.cjs.cache
 *   node <flags> scripts/code-cache.ts <folder>/read.cjs --check    ends with 1 if V8 does not take it
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { encodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { codeCacheOf, runBundle } from '../sidecar/transient.ts';

/** A first use of each, as a sidecar makes it when it starts. */
const firstUses: Readonly<Record<string, (exports: ReturnType<typeof runBundle>['exports']) => void>> = {
  'read.cjs': ({ readBootstrap }: typeof import('../sidecar/bootstrap/read.ts')) => {
    const sample = readFileSync(new URL('code-cache.bootstrap.json', import.meta.url), 'utf8');
    const read = readBootstrap(sample);
    if (!read.ok) throw new Error(`the sample bootstrap is refused: ${JSON.stringify(read.error)}`);
  },
  'codec.cjs': ({ controlWire }: typeof import('../sidecar/wire/codec.ts')) => {
    const request = {
      typeUrl: typeUrls.address,
      subscribe: ['a'],
      unsubscribe: [],
      heldVersions: {},
      nonce: '',
      refusal: '',
    };
    controlWire.encodeRequest(request, { id: 'sample', clientFeatures: [] });
    const ports = [{ port: 80, protocol: 'http', routeConfiguration: 'r', cluster: 'c' }] as const;
    const { bytes } = encodeResource('address', '10.0.0.1', { kind: 'service', namespace: 'a', name: 'b', ports });
    const upserts = [{ name: '10.0.0.1', version: '1', bytes }];
    const { errors } = controlWire.decodeEffect('address', typeUrls.address, { upserts, removals: [] });
    if (errors.length > 0) throw new Error(`the sample resource is refused: ${errors.join(', ')}`);
  },
};

const [path = '', check] = process.argv.slice(2);
const firstUse = firstUses[basename(path)];
if (firstUse === undefined) throw new Error(`${path}: nothing is known of how it is used first`);
if (check === '--check') {
  const { script } = runBundle(path, readFileSync(codeCacheOf(path)));
  if (script.cachedDataRejected !== false) throw new Error(`V8 does not take ${codeCacheOf(path)}`);
} else {
  const { exports, script } = runBundle(path, undefined);
  firstUse(exports);
  writeFileSync(codeCacheOf(path), script.createCachedData());
}
