/** Who has a host or a block where several want it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterState } from '../../index/state.ts';
import { parseObjects } from '../../static/objects.ts';
import { visibleTo } from './visible.ts';

const object = (name: string, created: string, spec: string, namespace = 'shop'): string => `
kind: ExternalService
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: "2026-01-0${created}T00:00:00Z" }
spec: ${spec}
`;

function seen(namespace: string, ...objects: string[]) {
  const state = new ClusterState('weft-system');
  const parsed = parseObjects(objects.join('---'));
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  for (const one of parsed.value) state.apply(one);
  const { claims, conflicts } = visibleTo(state, namespace);
  return {
    claims: claims.map(({ external, host, blocks }) =>
      `${external.metadata.name} ${host ?? '-'} ${blocks.join(' ')}`.trim(),
    ),
    conflicts: conflicts.map(({ loser, winner, what }) => `${loser} < ${winner}: ${what}`),
  };
}

const web = (hosts: string, more = ''): string =>
  `{ hosts: [${hosts}], ports: [{ name: http, number: 80, appProtocol: http }]${more} }`;
const db = (addresses: string): string =>
  `{ addresses: [${addresses}], ports: [{ name: db, number: 3306, appProtocol: tcp }], resolution: Passthrough }`;

test('the oldest has a host, and the younger keeps what is left', () => {
  const { claims, conflicts } = seen(
    'shop',
    object('young', '2', web('a.example, b.example')),
    object('old', '1', web('a.example')),
  );
  assert.deepEqual(claims, ['old a.example', 'young b.example']);
  assert.deepEqual(conflicts, ['shop/young < shop/old: a.example on port 80']);
});

test('one block however it is written', () => {
  const { claims, conflicts } = seen(
    'shop',
    object('old', '1', db('10.9.0.0/16, "2001:db8:5::/33"')),
    object('young', '2', db('10.9.3.7/16')),
    object('third', '3', db('"2001:DB8:5:1::9/33"')),
    object('other', '4', db('10.9.0.0/17')),
  );
  assert.deepEqual(claims, ['old - 10.9.0.0/16 2001:db8::/33', 'other - 10.9.0.0/17']);
  assert.deepEqual(conflicts, [
    'shop/young < shop/old: 10.9.0.0/16 on port 3306',
    'shop/third < shop/old: 2001:db8::/33 on port 3306',
  ]);
});

test('a namespace sees its own, and what the control plane has for all', () => {
  const all = [
    object('own', '1', web('own.example')),
    object('theirs', '1', web('theirs.example'), 'desk'),
    object('tenant', '1', web('tenant.example', ', visibility: Mesh'), 'desk'),
    object('wide', '1', web('wide.example', ', visibility: Mesh'), 'weft-system'),
  ];
  assert.deepEqual(seen('shop', ...all).claims, ['own own.example', 'wide wide.example']);
  assert.deepEqual(seen('desk', ...all).claims, ['theirs theirs.example', 'wide wide.example']);
});
