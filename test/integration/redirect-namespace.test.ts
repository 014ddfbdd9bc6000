import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

/**
 * Real redirection: a pod's namespace `pod` and a neighbour `outside` joined by a veth. In the pod an application (uid 65534), and on the
 * sidecar's ports a listener of uid 1337 that answers with the original destination.
 */

const pod = `weft-it-${process.pid}-pod`;
const outside = `weft-it-${process.pid}-out`;
const NODE = [process.execPath, '--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const INIT = fileURLToPath(new URL('../../injector/redirect/main.ts', import.meta.url));
const PEER = fileURLToPath(new URL('./redirect-peer.fixture.ts', import.meta.url));
const APPLICATION = 65534;
const PROXY = 1337;
const children: ChildProcess[] = [];

const run = (command: string, ...args: readonly string[]): string => execFileSync(command, args, { encoding: 'utf8' });
const ip = (...args: readonly string[]): string => run('ip', ...args);
const inNamespace = (namespace: string, command: readonly string[]): readonly string[] => [
  'netns',
  'exec',
  namespace,
  ...command,
];

function initContainer(
  env: Readonly<Record<string, string>> = {},
  capabilities = '+net_admin,+net_raw',
  args: readonly string[] = [],
): { status: number | null; stdout: string; stderr: string } {
  const limited = ['setpriv', `--bounding-set=-all,${capabilities}`, '--no-new-privs', ...NODE, INIT, ...args];
  return spawnSync('ip', inNamespace(pod, limited), { encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } });
}

function dial(namespace: string, uid: number, ...targets: readonly string[]): string[] {
  const answers: unknown = JSON.parse(ip(...inNamespace(namespace, [...NODE, PEER, 'dial', String(uid), ...targets])));
  assert.ok(Array.isArray(answers));
  return answers.map(String);
}

async function listen(namespace: string, uid: number, ...ports: readonly number[]): Promise<void> {
  const command = inNamespace(namespace, [...NODE, PEER, 'listen', String(uid), ...ports.map(String)]);
  const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [first] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) });
  assert.match(String(first), /ready/);
}

const rules = (): string => ip(...inNamespace(pod, ['nft', 'list', 'ruleset']));

const ENVIRONMENT = {
  KUBERNETES_SERVICE_HOST: '10.77.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  WEFT_API_SERVERS: '[fd77::1]:443',
  WEFT_EXCLUDE_INBOUND_PORTS: '2222',
  WEFT_EXCLUDE_OUTBOUND_PORTS: '9999, 9998',
  WEFT_EXCLUDE_OUTBOUND_CIDRS: '10.78.0.0/16,fd78::/64',
};

before(async () => {
  ip('netns', 'add', pod);
  ip('netns', 'add', outside);
  ip('link', 'add', 'eth0', 'netns', pod, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  for (const [namespace, last] of [
    [outside, 1],
    [pod, 2],
  ] as const) {
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    ip('-n', namespace, 'addr', 'add', `10.77.0.${last}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'addr', 'add', `fd77::${last}/64`, 'dev', 'eth0', 'nodad');
  }
  for (const address of ['10.78.0.1/32', 'fd78::1/128', '169.254.169.254/32'])
    ip('-n', outside, 'addr', 'add', address, 'dev', 'lo');
  ip('-n', pod, 'route', 'add', 'default', 'via', '10.77.0.1');
  ip('-n', pod, '-6', 'route', 'add', 'default', 'via', 'fd77::1');
  await listen(outside, APPLICATION, 80, 443, 8080, 9998, 9999);
  await listen(pod, PROXY, 15001, 15006, 15020);
  await listen(pod, APPLICATION, 2222, 8080);
});

after(async () => {
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  for (const namespace of [pod, outside]) spawnSync('ip', ['netns', 'del', namespace]);
});

describe('weft-init', () => {
  test('says what to do when it lacks the capability', () => {
    const { status, stderr } = initContainer({}, '+net_raw');
    assert.equal(status, 1);
    assert.match(stderr, /^weft-init: .*NET_ADMIN.*\n$/);
  });

  test('refuses a wrong environment by name and writes nothing', () => {
    const { status, stderr } = initContainer({ WEFT_EXCLUDE_OUTBOUND_PORTS: '80,http' });
    assert.equal(status, 2);
    assert.equal(stderr, 'weft-init: WEFT_EXCLUDE_OUTBOUND_PORTS: "http" is not a port between 1 and 65535\n');
    assert.equal(rules(), '');
  });

  test('writes its rules, twice alike', () => {
    const first = initContainer(ENVIRONMENT);
    assert.equal(first.stderr, '');
    assert.equal(first.status, 0);
    const listed = rules();
    assert.match(listed, /table inet weft \{/);
    assert.match(listed, /type nat hook output priority -100; policy accept;/);
    assert.match(listed, /elements = \{ 10\.77\.0\.1 \. 443 \}/);
    assert.match(listed, /elements = \{ fd77::1 \. 443 \}/);
    assert.match(listed, /elements = \{ 10\.78\.0\.0\/16 \}/);
    assert.match(listed, /tcp dport \{ 9998, 9999 \} return comment "excluded ports"/);
    assert.match(listed, /meta skuid 1337 return/);
    assert.match(listed, /meta l4proto tcp redirect to :15001 comment "outbound to the sidecar"/);
    assert.match(listed, /meta l4proto tcp redirect to :15006 comment "inbound to the sidecar"/);
    assert.equal(initContainer(ENVIRONMENT).status, 0);
    assert.equal(rules(), listed);
  });
});

for (const family of [
  { name: 'IPv4', out: '10.77.0.1', pod: '10.77.0.2', loopback: '127.0.0.1', far: '10.96.0.10', excluded: '10.78.0.1' },
  { name: 'IPv6', out: 'fd77::1', pod: 'fd77::2', loopback: '::1', far: 'fd99::10', excluded: 'fd78::1' },
]) {
  describe(`redirection in ${family.name}`, () => {
    before(() => {
      assert.equal(initContainer(ENVIRONMENT).status, 0);
    });

    test('what the application dials goes to 15001 and keeps its destination', () => {
      assert.deepEqual(dial(pod, APPLICATION, `tcp/${family.out}/8080`, `tcp/${family.far}/80`), [
        `port 15001, original ${family.out} 8080`,
        `port 15001, original ${family.far} 80`,
      ]);
    });

    test('the API server, excluded ports and ranges, and UDP pass', () => {
      const targets = [`tcp/${family.out}/443`, `tcp/${family.out}/9999`, `tcp/${family.excluded}/80`];
      const answers = dial(pod, APPLICATION, ...targets, `udp/${family.out}/8080`);
      assert.deepEqual(answers, [
        'port 443, original none',
        'port 9999, original none',
        'port 80, original none',
        'port 8080',
      ]);
    });

    test('the sidecar dials as it likes, its own application too', () => {
      const answers = dial(pod, PROXY, `tcp/${family.out}/8080`, `tcp/${family.pod}/8080`);
      assert.deepEqual(answers, ['port 8080, original none', 'port 8080, original none']);
    });

    test('loopback and the own address stay inside the pod', () => {
      const answers = dial(pod, APPLICATION, `tcp/${family.loopback}/8080`, `tcp/${family.pod}/8080`);
      assert.deepEqual(answers, ['port 8080, original none', 'port 8080, original none']);
    });

    test('what comes from outside goes to 15006, except the health port and excluded ports', () => {
      const answers = dial(
        outside,
        APPLICATION,
        ...[8080, 7777, 15020, 2222].map((port) => `tcp/${family.pod}/${port}`),
      );
      assert.deepEqual(answers, [
        `port 15006, original ${family.pod} 8080`,
        `port 15006, original ${family.pod} 7777`,
        'port 15020, original none',
        'port 2222, original none',
      ]);
    });

    test('15001 and 15006 cannot be dialled from outside', () => {
      const answers = dial(outside, APPLICATION, `tcp/${family.pod}/15001`, `tcp/${family.pod}/15006`);
      assert.deepEqual(answers, ['ECONNREFUSED', 'ECONNREFUSED']);
    });
  });
}

test('instance metadata passes', () => {
  assert.equal(initContainer(ENVIRONMENT).status, 0);
  assert.deepEqual(dial(pod, APPLICATION, 'tcp/169.254.169.254/80'), ['port 80, original none']);
});

test('undone, nothing is left and nothing is redirected; again it is fine', () => {
  assert.equal(initContainer(ENVIRONMENT).status, 0);
  assert.equal(initContainer({}, '+net_admin', ['--undo']).status, 0);
  assert.equal(rules(), '');
  assert.deepEqual(dial(pod, APPLICATION, 'tcp/10.77.0.1/8080'), ['port 8080, original none']);
  assert.equal(initContainer({}, '+net_admin', ['--undo']).status, 0);
});
