/**
 * Writes what V8 has compiled of a bundle beside it, after the bundle was used: what is compiled when it is first called
 * is in it too. Run by the Node, and with the flags, that will load it: V8 takes no other's.
 *
 *   node <flags> scripts/code-cache.ts <folder>/read.cjs            writes <folder>/read.cjs.cache
 *   node <flags> scripts/code-cache.ts <folder>/read.cjs --check    ends with 1 if V8 does not take it
 *
 * With --linear as well it is for a process that has had a regular expression to match: <folder>/read.cjs.linear.cache.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '@weft/policies/kit/clock';
import { enableLinearEngine } from '@weft/policies/kit/linear-regex';
import { systemPrng } from '@weft/policies/kit/prng';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { encodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { readBootstrap } from '../sidecar/bootstrap/read.ts';
import { codeCacheOf, runBundle } from '../sidecar/transient.ts';
import type { ControlWire } from '../sidecar/wire/codec.ts';

const WARM_UP_MS_MAX = 30_000;
const sample = fileURLToPath(new URL('code-cache.bootstrap.json', import.meta.url));

/** Runs what comes before `serving`: the ports of the sample are any that are free. */
const served = new Promise<void>((resolve) => {
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text: string | Uint8Array): boolean => {
    if (!String(text).includes(' serving ')) return write(text);
    resolve();
    return true;
  };
});

function decode(wire: ControlWire, kind: ResourceKind, bytes: Uint8Array): void {
  const upserts = [{ name: 'sample', version: '1', bytes }];
  const { errors } = wire.decodeEffect(kind, typeUrls[kind], { upserts, removals: [] });
  if (errors.length > 0) throw new Error(`the sample ${kind} is refused: ${errors.join(', ')}`);
}

type Exports = ReturnType<typeof runBundle>['exports'];

/** A first use of each, as a sidecar makes it when it starts. */
const firstUses: Readonly<Record<string, (exports: Exports) => void | Promise<void>>> = {
  'main.cjs': async ({ loadWarmUp }: typeof import('../sidecar/main.ts')) => {
    await served;
    // What a request passes: all of its requests, however long they take here.
    const { warmUp } = await loadWarmUp();
    const passed = await warmUp({ clock: systemClock, prng: systemPrng }, { budgetMs: WARM_UP_MS_MAX });
    if (passed === 0) throw new Error('no request came through');
  },
  'read.cjs': ({ readBootstrap }: typeof import('../sidecar/bootstrap/read.ts')) => {
    const read = readBootstrap(readFileSync(sample, 'utf8'));
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
    controlWire.encodeRequest(request, { id: 'sample', cluster: '', clientFeatures: [] });
    const ports = [{ port: 80, protocol: 'http', routeConfiguration: 'r', cluster: 'c' }] as const;
    const { bytes } = encodeResource('address', '10.0.0.1', { kind: 'service', namespace: 'a', name: 'b', ports });
    decode(controlWire, 'address', bytes);
    const read = readBootstrap(readFileSync(sample, 'utf8'));
    const [listener] = read.ok ? read.value.listeners : [];
    if (listener === undefined) throw new Error('the sample bootstrap has no listener');
    decode(controlWire, 'listener', encodeResource('listener', listener.name, listener).bytes);
  },
};

const { positionals, values } = parseArgs({
  options: { check: { type: 'boolean' }, linear: { type: 'boolean' } },
  allowPositionals: true,
});
const [path = ''] = positionals;
if (values.linear === true) enableLinearEngine();
const firstUse = firstUses[basename(path)];
if (firstUse === undefined) throw new Error(`${path}: nothing is known of how it is used first`);
// What the sidecar's own program is told; the others do not ask.
process.argv.splice(2, Infinity, '-c', sample);
const { exports, script } = runBundle(path, values.check === true ? readFileSync(codeCacheOf(path)) : undefined);
if (values.check === true) {
  if (script.cachedDataRejected !== false) throw new Error(`V8 does not take ${codeCacheOf(path)}`);
} else {
  await firstUse(exports);
  writeFileSync(codeCacheOf(path), script.createCachedData());
}
// The sidecar goes on serving.
process.exit(0);
