/**
 * Rules of the Gateway API as a table: the section that each comes from, objects, and what follows from them for requests
 * and for statuses. Sections are fields of the reference (v1.6) or GEPs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { routeStatuses } from '@weft/control-plane/translate/route-status';
import { EchoMesh, route } from '../../support/echo-mesh.ts';
import { type Asked, httpRules, type Rule } from './rules.fixture.ts';

describe('the specification of HTTPRoute, by its sections', () => {
  let mesh: EchoMesh;
  before(async () => {
    mesh = await EchoMesh.start();
  });
  after(() => mesh.stop());

  async function check({
    path,
    pod,
    status = 200,
    headers = {},
    method = 'GET',
    location,
    seen,
  }: Asked): Promise<void> {
    const title = `${method} ${path} ${JSON.stringify(headers)}`;
    const answer = await mesh.get(path, { headers, method });
    assert.deepEqual([answer.status, answer.echo?.pod], [status, pod], title);
    if (location !== undefined) assert.equal(answer.headers['location'], location, title);
    for (const [name, value] of Object.entries(seen ?? {})) {
      assert.equal(name === ':path' ? answer.echo?.path : answer.echo?.headers[name], value, `${title} ${name}`);
    }
  }

  async function inProportion({ path, shares, requests = 240 }: NonNullable<Rule['proportion']>): Promise<void> {
    const counts = new Map<string, number>();
    for (let sent = 0; sent < requests; sent++) {
      const { status, echo } = await mesh.get(path);
      const key = echo?.pod ?? String(status);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    assert.deepEqual([...counts.keys()].sort(), Object.keys(shares).sort());
    for (const [key, share] of Object.entries(shares)) {
      const got = (counts.get(key) ?? 0) / requests;
      assert.ok(Math.abs(got - share) < 0.12, `${key} got ${got}, not about ${share}`);
    }
  }

  for (const { section, rule, objects, asked = [], proportion, statuses = {} } of httpRules) {
    test(`${section}: ${rule}`, async () => {
      mesh.routes(objects.map((one) => route(one.kind ?? 'HTTPRoute', one.spec, one)).join('---'));
      for (const one of asked) await check(one);
      if (proportion !== undefined) await inProportion(proportion);
      const all = new Map(routeStatuses(mesh.world.context).map((one) => [one.route, one]));
      for (const [name, wanted] of Object.entries(statuses)) {
        const said = all
          .get(`mesh/${name}`)
          ?.parents.map(({ conditions }) =>
            conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`).join(', '),
          );
        assert.deepEqual(said, wanted, name);
      }
    });
  }
});
