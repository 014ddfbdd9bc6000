import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Pod } from '@weft/local/client/objects';
import { paths } from '@weft/local/client/paths';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

describe('pods run by the node agent', () => {
  let mesh: TestMesh;
  before(async () => {
    mesh = await startTestMesh('t-pods');
  });
  after(() => mesh.close());

  const pod = (name: string, spec: object, metadata: object = {}): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...metadata },
    spec: { terminationGracePeriodSeconds: 2, ...spec },
  });
  const finished = (name: string): Promise<Pod> =>
    until(`pod ${name} ends`, async () => {
      const got = await mesh.pod(name);
      return got?.status?.phase === 'Succeeded' || got?.status?.phase === 'Failed' ? got : undefined;
    });

  test('nginx and python serve in IPv4 and IPv6, as nobody', async () => {
    await mesh.apply(
      pod('nginx', {
        containers: [
          { name: 'c', image: 'nginx:1.27', ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { port: 80 } } },
        ],
      }),
      pod('python', {
        containers: [
          {
            name: 'c',
            image: 'python:3.12',
            args: ['-m', 'http.server', '--bind', '::', '8000'],
            readinessProbe: { tcpSocket: { port: 8000 } },
          },
        ],
      }),
    );
    const [nginx, python] = [await mesh.podReady('nginx'), await mesh.podReady('python')];
    assert.equal(nginx.status?.podIPs?.length, 2);
    for (const [target, port] of [
      [nginx, 80],
      [python, 8000],
    ] as const) {
      for (const { ip } of target.status?.podIPs ?? []) {
        const url = `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}/`;
        const answer = await mesh.inPod(nginx, 'curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-m', '5', url]);
        assert.equal(answer.stdout, '200', url);
      }
    }
    const pid = nginx.status?.containerStatuses?.[0]?.containerID?.replace('process://', '');
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Uid:\t65534\t65534/m);
  });

  test('the view of a container: environment, volumes, token, hosts, resolver', async () => {
    await mesh.apply(
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'settings', namespace: 'default' },
        data: { color: 'blue' },
      },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'key', namespace: 'default' },
        stringData: { pin: '1234' },
      },
      pod(
        'view',
        {
          restartPolicy: 'Never',
          containers: [
            {
              name: 'c',
              image: 'busybox',
              command: [
                'sh',
                '-c',
                [
                  'echo "env $COLOR $PIN $COMBINED $IPS"',
                  'cat /etc/config/color; echo',
                  'stat -L -c "token %a %u %F" /var/run/secrets/tokens/token',
                  'wc -c < /var/run/secrets/tokens/token',
                  'stat -f -c "memory %T" /memory',
                  'touch /memory/x && echo writable',
                  'touch /etc/config/x 2>/dev/null || echo config-readonly',
                  'touch /readonly-root 2>/dev/null || echo root-readonly',
                  'cat /labels/labels; echo',
                  'cat /etc/resolv.conf',
                  'hostname',
                ].join('; '),
              ],
              env: [
                { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
                { name: 'PIN', valueFrom: { secretKeyRef: { name: 'key', key: 'pin' } } },
                { name: 'COMBINED', value: '$(COLOR)-$$(PIN)' },
                { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
              ],
              securityContext: { runAsUser: 1337, readOnlyRootFilesystem: true },
              volumeMounts: [
                { name: 'config', mountPath: '/etc/config' },
                { name: 'token', mountPath: '/var/run/secrets/tokens' },
                { name: 'memory', mountPath: '/memory' },
                { name: 'labels', mountPath: '/labels' },
              ],
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: 'settings' } },
            { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
            {
              name: 'labels',
              downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
            },
            {
              name: 'token',
              projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'weft.dev' } }] },
            },
          ],
        },
        { labels: { app: 'view' } },
      ),
    );
    const done = await finished('view');
    const log = await mesh.logs('view');
    assert.equal(done.status?.phase, 'Succeeded', log);
    const ips = (done.status?.podIPs ?? []).map((item) => item.ip).join(',');
    assert.ok(log.includes(`env blue 1234 blue-$(PIN) ${ips}`), log);
    assert.match(log, /^blue$/m);
    assert.match(log, /^token 600 1337 regular file$/m);
    assert.match(log, /^memory tmpfs$/m);
    for (const line of ['writable', 'config-readonly', 'root-readonly', 'app="view"', 'view'])
      assert.match(log, new RegExp(`^${line}$`, 'm'), log);
    assert.match(log, /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local$/m);
    assert.match(log, /^options ndots:5$/m);
  });

  test('a changed ConfigMap reaches the running container', async () => {
    const config = (text: string): object => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'live', namespace: 'default' },
      data: { text },
    });
    await mesh.apply(
      config('old'),
      pod('live', {
        containers: [
          {
            name: 'c',
            image: 'busybox',
            command: ['sh', '-c', 'while :; do cat /config/text; echo; sleep 0.1; done'],
            volumeMounts: [{ name: 'config', mountPath: '/config' }],
          },
        ],
        volumes: [{ name: 'config', configMap: { name: 'live' } }],
      }),
    );
    await until('old text', async () => ((await mesh.logs('live')).includes('old') ? true : undefined));
    await mesh.apply(config('new'));
    await until('new text', async () => ((await mesh.logs('live')).includes('new') ? true : undefined));
  });

  test('init containers first, sidecar before the application and after it, preStop before SIGTERM', async () => {
    const say = (name: string): string => `echo "$(date +%s%N) ${name}" >> /order/log`;
    const said = (name: string, periodSeconds: number): object => ({
      exec: { command: ['grep', '-q', name, '/order/log'] },
      periodSeconds,
    });
    const mount = [{ name: 'order', mountPath: '/order' }];
    await mesh.apply(
      pod('order', {
        terminationGracePeriodSeconds: 10,
        initContainers: [
          { name: 'first', image: 'busybox', command: ['sh', '-c', say('first')], volumeMounts: mount },
          {
            name: 'side',
            image: 'busybox',
            restartPolicy: 'Always',
            command: [
              'sh',
              '-c',
              `trap 'cat /order/log; echo side-end; exit 0' TERM; ${say('side-start')}; while :; do sleep 0.05; done`,
            ],
            startupProbe: said('side-start', 1),
            volumeMounts: mount,
          },
          { name: 'second', image: 'busybox', command: ['sh', '-c', say('second')], volumeMounts: mount },
        ],
        containers: [
          {
            name: 'app',
            image: 'busybox',
            command: [
              'sh',
              '-c',
              `trap '${say('app-term')}; exit 0' TERM; ${say('app-start')}; while :; do sleep 0.05; done`,
            ],
            readinessProbe: said('app-start', 1),
            lifecycle: { preStop: { exec: { command: ['sh', '-c', say('prestop')] } } },
            volumeMounts: mount,
          },
        ],
        volumes: [{ name: 'order', emptyDir: {} }],
      }),
    );
    const ready = await mesh.podReady('order');
    const logFile = `${mesh.mesh.logsDir}/default_order_${ready.metadata.uid}/side/0.log`;
    assert.equal((await mesh.kubectl(['delete', 'pod', 'order', '--wait=false'])).code, 0);
    await until('pod is gone', async () => ((await mesh.pod('order')) === undefined ? true : undefined));
    // `first` would be there twice if order were by chance: the log is read whole, from the sidecar that ended last.
    const steps = readFileSync(logFile, 'utf8')
      .split('\n')
      .map((line) => line.split(' ').at(-1))
      .filter((word) => word !== '');
    assert.deepEqual(steps, ['first', 'side-start', 'second', 'app-start', 'prestop', 'app-term', 'side-end']);
  });

  test('an unknown image waits with the line to add; root is refused with the reason', async () => {
    await mesh.apply(
      pod('unknown', { containers: [{ name: 'c', image: 'ghcr.io/acme/api:3' }] }),
      pod('root', { containers: [{ name: 'c', image: 'busybox', securityContext: { runAsUser: 0 } }] }),
    );
    const waiting = (name: string, reason: string): Promise<string> =>
      until(`${name} waits with ${reason}`, async () => {
        const state = (await mesh.pod(name))?.status?.containerStatuses?.[0]?.state.waiting;
        return state?.reason === reason ? (state.message ?? '') : undefined;
      });
    assert.match(await waiting('unknown', 'ImagePullBackOff'), /"image":"acme\/api"/);
    assert.match(
      await waiting('root', 'CreateContainerConfigError'),
      /runAsUser 0 is only for init container weft-init/,
    );
  });

  test("the injector's init container, and it alone, may write rules in the pod's network", async () => {
    const init = {
      image: 'weft/injector',
      args: ['init'],
      securityContext: { runAsUser: 0, runAsGroup: 0, capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } },
    };
    await mesh.apply(
      pod('redirected', {
        initContainers: [{ name: 'weft-init', ...init }],
        containers: [{ name: 'c', image: 'busybox', command: ['sleep', '3600'] }],
      }),
      pod('imposter', { containers: [{ name: 'weft-init', ...init }] }),
    );
    const redirected = await mesh.podReady('redirected');
    const rules = await mesh.inPod(redirected, 'nft', ['list', 'table', 'inet', 'weft']);
    assert.match(rules.stdout, /redirect to :15001/, rules.stderr);
    await until('the imposter is refused', async () => {
      const waiting = (await mesh.pod('imposter'))?.status?.containerStatuses?.[0]?.state.waiting;
      return waiting?.reason === 'CreateContainerConfigError' ? true : undefined;
    });
  });

  test('a failing container backs off and counts; a failing liveness probe restarts', async () => {
    await mesh.apply(
      pod('crash', { containers: [{ name: 'c', image: 'busybox', command: ['sh', '-c', 'echo run; exit 3'] }] }),
      pod('sick', {
        containers: [
          {
            name: 'c',
            image: 'busybox',
            command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'],
            livenessProbe: { tcpSocket: { port: 9 }, periodSeconds: 1, failureThreshold: 1 },
          },
        ],
      }),
    );
    await until('back-off', async () => {
      const status = (await mesh.pod('crash'))?.status?.containerStatuses?.[0];
      const code = status?.lastState.terminated?.exitCode;
      return status?.state.waiting?.reason === 'CrashLoopBackOff' && code === 3 && status.restartCount > 0
        ? true
        : undefined;
    });
    await until('restart', async () =>
      ((await mesh.pod('sick'))?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 ? true : undefined,
    );
  });

  test('every process of a deleted pod ends, also those that hide', async () => {
    await mesh.apply(
      pod('tree', {
        containers: [{ name: 'c', image: 'busybox', command: ['sh', '-c', 'setsid sleep 98765 & sleep 98765'] }],
        terminationGracePeriodSeconds: 1,
      }),
    );
    const tree = await mesh.podReady('tree');
    const pid = tree.status?.containerStatuses?.[0]?.containerID?.replace('process://', '') ?? '';
    assert.equal((await mesh.client.remove(paths.core('pods', 'default', 'tree'))).ok, true);
    await until('pod is gone', async () => ((await mesh.pod('tree')) === undefined ? true : undefined));
    assert.throws(() => readFileSync(`/proc/${pid}/stat`));
    const uid = tree.metadata.uid ?? '';
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(uid), 'mounts of the pod are gone');
  });
});
