/**
 * Golden pairs: `testdata/<case>.in.yaml` holds Kubernetes objects after a first document that says what is asked
 * for and by whom; `<case>.out.yaml` is what comes out. UPDATE_GOLDEN=1 writes them anew.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { decodeResource } from '@weft/policies/wire/resource';
import { parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import { ClusterState } from '../index/state.ts';
import { encodeTranslated } from '../resources/source.ts';
import { parseObjects } from '../static/objects.ts';
import type { TranslateContext } from './context.ts';
import { externalServiceStatus } from './external/status.ts';
import { plain } from './golden-format.testing.ts';
import { type TranslatedResource, translateResource } from './resource.ts';
import { routeStatuses } from './route-status.ts';
import { policyStatuses } from './status.ts';

const testdata = join(import.meta.dirname, 'testdata');

const question = z.strictObject({
  drained: z.array(z.string()).default([]),
  status: z.boolean().default(false),
  ask: z
    .array(
      z.strictObject({
        kind: z.enum(['address', 'listener', 'route', 'cluster', 'endpoints']),
        name: z.string(),
        namespace: z.string().default('default'),
        pod: z.string().default(''),
        http2: z.boolean().default(false),
        /** False: it cannot choose among endpoints by where they run. */
        locality: z.boolean().default(true),
        /** False: of a version that knows no routes for tunnels. */
        connect: z.boolean().default(true),
      }),
    )
    .default([]),
});

/** What is translated must be what a sidecar reads. */
function survivesTheWire(name: string, resource: TranslatedResource | undefined): void {
  if (resource === undefined) return;
  const encoded = encodeTranslated(resource, name);
  const decoded = decodeResource(encoded.typeUrl, encoded.bytes);
  if (!decoded.ok) assert.fail(`${name}: ${decoded.error.map((one) => `${one.path}: ${one.message}`).join('; ')}`);
  assert.deepEqual(decoded.value.value, resource.value, name);
}

function run(text: string): unknown {
  const [first] = parseAllDocuments(text);
  const asked = question.parse(first && 'toJS' in first ? first.toJS() : {});
  const objects = parseObjects(text.slice(text.indexOf('\n---\n') + 5));
  if (!objects.ok) assert.fail(objects.error);
  const trustDomain = parseTrustDomain('cluster.local');
  assert.ok(trustDomain.ok);
  const context: TranslateContext = {
    state: new ClusterState('weft-system'),
    trustDomain: trustDomain.value,
    isDrained: (key) => asked.drained.includes(key),
  };
  for (const object of objects.value) context.state.apply(object);
  for (const { kind, name, namespace, pod, http2, locality, connect } of asked.ask) {
    const client = { namespace, podKey: `${namespace}/${pod}`, features: { http2, locality, connect } };
    survivesTheWire(name, translateResource(context, kind, name, client));
  }
  const answers = asked.ask.map(({ kind, name, namespace, pod, http2, locality, connect }) => ({
    ask: [kind, name, ...(kind === 'route' || kind === 'cluster' ? [`from ${namespace}`] : []), pod]
      .filter(Boolean)
      .join(' '),
    answer: plain(
      translateResource(context, kind, name, {
        namespace,
        podKey: `${namespace}/${pod}`,
        features: { http2, locality, connect },
      })?.value,
    ),
  }));
  if (!asked.status) return { answers };
  const { externalServices } = context.state;
  const external = [...externalServices.entries()].map(([key, one]) => [key, externalServiceStatus(context, one)]);
  return {
    answers,
    routeStatus: plain(routeStatuses(context)),
    policyStatus: plain(policyStatuses(context)),
    ...(external.length === 0 ? {} : { externalStatus: plain(Object.fromEntries(external)) }),
  };
}

describe('translation', () => {
  const cases = globSync('*.in.yaml', { cwd: testdata }).sort();
  test('there are golden files', () => assert.ok(cases.length >= 8, `only ${cases.length}`));
  for (const file of cases) {
    test(basename(file, '.in.yaml'), () => {
      const out = join(testdata, file.replace('.in.yaml', '.out.yaml'));
      const actual = stringify(run(readFileSync(join(testdata, file), 'utf8')), {
        lineWidth: 0,
        aliasDuplicateObjects: false,
      });
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(out, actual);
      assert.equal(actual, readFileSync(out, 'utf8'));
    });
  }
});
