import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as nft from '@weft/injector/redirect/ruleset';

/**
 * nf_tables over netlink where a node needs it: virtual addresses of services to endpoints in other namespaces, as kube-proxy does it.
 * A node's namespace routes between two pods; the rules are ours and read back by `nft`.
 */

const node = `weft-nt-${process.pid}-node`;
const pods = [1, 2].map((number) => ({ number, name: `weft-nt-${process.pid}-p${number}` }));
const [first, second] = [`weft-nt-${process.pid}-p1`, `weft-nt-${process.pid}-p2`];
const NODE = [process.execPath, '--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const APPLY = fileURLToPath(new URL('./redirect-nftables.fixture.ts', import.meta.url));
const PEER = fileURLToPath(new URL('./redirect-peer.fixture.ts', import.meta.url));
const children: ChildProcess[] = [];

const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const exec = (namespace: string, ...command: readonly string[]): readonly string[] => [
  'netns',
  'exec',
  namespace,
  ...command,
];
const list = (): string => ip(...exec(node, 'nft', 'list', 'ruleset'));

function run(args: readonly string[], input = ''): { status: number | null; stderr: string } {
  return spawnSync('ip', exec(node, ...NODE, APPLY, ...args), { input, encoding: 'utf8' });
}
function apply(ruleset: nft.Ruleset): void {
  const { status, stderr } = run([], JSON.stringify(ruleset));
  assert.equal(status, 0, stderr);
}

function dial(namespace: string, ...targets: readonly string[]): string[] {
  const answers: unknown = JSON.parse(ip(...exec(namespace, ...NODE, PEER, 'dial', '65534', ...targets)));
  assert.ok(Array.isArray(answers));
  return answers.map(String);
}

const FAMILIES = [
  { name: 'IPv4', daddr: 'ip daddr', vip: '10.96.0.10', pod: (number: number) => `10.79.0.1${number}` },
  { name: 'IPv6', daddr: 'ip6 daddr', vip: 'fd96::10', pod: (number: number) => `fd79::1${number}` },
] as const;
const MARK = 0x4000;

/** Service port 80 to both pods, 81 to the first, 82 to nobody, 83 to one of both by the source address; TCP and UDP. */
function services(): nft.Ruleset {
  const verdicts = FAMILIES.map((family) => ({
    kind: 'vmap' as const,
    name: `services_${family.name.toLowerCase()}`,
    fields: [family.daddr, 'meta l4proto', 'th dport'] as const,
    entries: (['tcp', 'udp'] as const).flatMap((protocol) =>
      ['both', 'one', 'none', 'same'].map((chain, index) => ({
        key: [family.vip, protocol, 80 + index],
        verdict: { kind: 'goto' as const, chain: `${chain}_${protocol}_${family.name.toLowerCase()}` },
      })),
    ),
  }));
  const chains = FAMILIES.flatMap((family) =>
    (['tcp', 'udp'] as const).flatMap((protocol) =>
      (['both', 'one', 'none', 'same'] as const).map((which): nft.Chain => {
        const endpoints = [1, 2]
          .slice(0, which === 'one' ? 1 : 2)
          .map((number) => ({ address: family.pod(number), port: 8080 }));
        const to = nft.rule(
          'to endpoints',
          nft.match('meta l4proto', protocol),
          nft.setMark(MARK),
          which === 'same' ? nft.dnatBySource(...endpoints) : nft.dnatTo(...endpoints),
        );
        return { name: `${which}_${protocol}_${family.name.toLowerCase()}`, rules: which === 'none' ? [] : [to] };
      }),
    ),
  );
  const lookups = FAMILIES.map((family) =>
    nft.rule('services', nft.vmap(`services_${family.name.toLowerCase()}`, family.daddr, 'meta l4proto', 'th dport')),
  );
  const refusals = FAMILIES.flatMap((family) => [
    nft.rule(
      'no endpoints',
      nft.match(family.daddr, family.vip),
      nft.match('tcp dport', 82),
      nft.rejectWith('tcp-reset'),
    ),
  ]);
  return {
    family: 'inet',
    table: 'services',
    sets: verdicts,
    chains: [
      ...chains,
      { name: 'dispatch', rules: lookups },
      {
        name: 'prerouting',
        hook: { type: 'nat', hook: 'prerouting', priority: nft.PRIORITY.dstnat, policy: 'accept' },
        rules: [nft.rule('from pods', nft.jump('dispatch'))],
      },
      {
        // Before routing, since there need be no route to a virtual address.
        name: 'refuse',
        hook: { type: 'filter', hook: 'prerouting', priority: nft.PRIORITY.dstnat + 1, policy: 'accept' },
        rules: refusals,
      },
      {
        name: 'postrouting',
        hook: { type: 'nat', hook: 'postrouting', priority: nft.PRIORITY.srcnat, policy: 'accept' },
        rules: [
          nft.rule(
            'hairpin',
            nft.match('meta mark', MARK),
            nft.bits('ct status', nft.CT_STATUS.dstNat),
            nft.masquerade,
          ),
        ],
      },
    ],
  };
}

before(async () => {
  ip('netns', 'add', node);
  ip('-n', node, 'link', 'set', 'lo', 'up');
  ip(...exec(node, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'));
  for (const { name, number } of pods) {
    ip('netns', 'add', name);
    ip('link', 'add', 'eth0', 'netns', name, 'type', 'veth', 'peer', 'name', `pod${number}`, 'netns', node);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', node, 'link', 'set', `pod${number}`, 'up');
    ip('-n', node, 'addr', 'add', '10.79.0.1/32', 'dev', `pod${number}`);
    ip('-n', node, 'addr', 'add', 'fd79::1/128', 'dev', `pod${number}`, 'nodad');
    for (const [family, gateway] of [
      [FAMILIES[0], '10.79.0.1'],
      [FAMILIES[1], 'fd79::1'],
    ] as const) {
      ip('-n', name, 'addr', 'add', family.pod(number), 'dev', 'eth0', ...(family.name === 'IPv6' ? ['nodad'] : []));
      ip('-n', name, 'route', 'add', gateway, 'dev', 'eth0');
      ip('-n', name, 'route', 'add', 'default', 'via', gateway);
      ip('-n', node, 'route', 'add', family.pod(number), 'dev', `pod${number}`);
    }
    const listen = exec(name, ...NODE, PEER, 'listen', '65534', '8080');
    const child = spawn('ip', listen, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) });
  }
});

after(async () => {
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  for (const name of [node, ...pods.map((pod) => pod.name)]) spawnSync('ip', ['netns', 'del', name]);
});

for (const family of FAMILIES) {
  describe(`services in ${family.name}`, () => {
    before(() => apply(services()));

    test('a virtual address leads to an endpoint, TCP and UDP', () => {
      const answers = dial(first, `tcp/${family.vip}/80`, `udp/${family.vip}/80`);
      assert.deepEqual(answers, ['port 8080, original none', 'port 8080']);
    });

    test('a pod reaches itself through its service', () => {
      assert.deepEqual(dial(first, `tcp/${family.vip}/81`), ['port 8080, original none']);
    });

    test('without endpoints it is refused at once', () => {
      assert.deepEqual(dial(first, `tcp/${family.vip}/82`), ['ECONNREFUSED']);
    });

    /** How many of so many connections to a port each pod got. */
    const shares = (port: number, count: number): number[] => {
      const counted: nft.Ruleset = {
        family: 'inet',
        table: 'counted',
        sets: [],
        chains: [
          {
            name: 'forward',
            hook: { type: 'filter', hook: 'forward', priority: 1, policy: 'accept' },
            rules: [1, 2].map((number) =>
              nft.rule(
                `pod ${number}`,
                nft.match(family.daddr, family.pod(number)),
                nft.match('tcp dport', 8080),
                nft.bits('ct state', nft.CT_STATE.new),
                nft.counter,
              ),
            ),
          },
        ],
      };
      apply(counted);
      dial(second, ...Array.from({ length: count }, () => `tcp/${family.vip}/${port}`));
      const packets = [...list().matchAll(/counter packets (\d+) bytes \d+ comment "pod/g)].map((found) =>
        Number(found[1]),
      );
      assert.equal(packets.length, 2);
      assert.equal(run(['delete', 'counted']).status, 0);
      return packets.sort((a, b) => a - b);
    };

    test('both endpoints get connections', () => {
      // 2 ** -29 is how often chance alone leaves one of them out.
      const [fewer = 0, more = 0] = shares(80, 30);
      assert.equal(fewer + more, 30);
      assert.ok(fewer > 0);
    });

    test('by the source address all connections of a client go to one endpoint', () => {
      assert.deepEqual(shares(83, 12), [0, 12]);
    });
  });
}

test('nft reads back what was written, and writing again changes nothing', () => {
  apply(services());
  const before = list();
  assert.match(before, /type ipv4_addr \. inet_proto \. inet_service : verdict/);
  assert.match(before, /10\.96\.0\.10 \. tcp \. 80 : goto both_tcp_ipv4/);
  assert.match(before, /dnat ip to numgen random mod 2 map \{ 0 : 10\.79\.0\.11 \. 8080, 1 : 10\.79\.0\.12 \. 8080 \}/);
  assert.match(before, /dnat ip6 to \[fd79::11\]:8080/);
  assert.match(before, /meta mark 0x00004000 ct status dnat masquerade comment "hairpin"/);
  apply(services());
  assert.equal(list(), before);
});

test('what the kernel refuses is named, and what was there stays', () => {
  apply(services());
  const before = list();
  const broken: nft.Ruleset = {
    family: 'inet',
    table: 'services',
    sets: [],
    chains: [{ name: 'c', rules: [nft.rule('good', nft.accept), nft.rule('leads nowhere', nft.goTo('missing'))] }],
  };
  const { status, stderr } = run([], JSON.stringify(broken));
  assert.equal(status, 1);
  assert.equal(stderr, 'rule "leads nowhere" of chain c: no such file or directory (ENOENT)\n');
  assert.equal(list(), before);
});

test('a thousand services fit one transaction', () => {
  const entries = Array.from({ length: 1_000 }, (_, index) => ({
    key: [`10.97.${index >> 8}.${index & 255}`, 'tcp', 80],
    verdict: { kind: 'goto' as const, chain: `svc${index}` },
  }));
  const chains = entries.map((entry, index) => ({
    name: entry.verdict.chain,
    rules: [
      nft.rule(`service ${index}`, nft.match('meta l4proto', 'tcp'), nft.dnatTo({ address: '10.79.0.11', port: 8080 })),
    ],
  }));
  const hook: nft.BaseHook = { type: 'nat', hook: 'prerouting', priority: nft.PRIORITY.dstnat, policy: 'accept' };
  const fields = ['ip daddr', 'meta l4proto', 'th dport'] as const;
  const lookup = nft.rule('services', nft.vmap('services', ...fields));
  apply({
    family: 'inet',
    table: 'many',
    sets: [{ kind: 'vmap', name: 'services', fields, entries }],
    chains: [...chains, { name: 'prerouting', hook, rules: [lookup] }],
  });
  assert.deepEqual(dial(second, 'tcp/10.97.3.231/80'), ['port 8080, original none']);
  assert.equal(run(['delete', 'many']).status, 0);
});

test('a table that is removed twice is gone', () => {
  apply(services());
  assert.equal(run(['delete', 'services']).status, 0);
  assert.equal(run(['delete', 'services']).status, 0);
  assert.doesNotMatch(list(), /services/);
});
