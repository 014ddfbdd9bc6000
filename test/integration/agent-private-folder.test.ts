import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { downMesh } from '@weft/local/up';
import { run, until } from '../support/local-mesh.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const name = 't-private';

/** `npm ci` in a folder that only root may enter (/root, say): containers run as other users and read the project all the same. */
test('pods start from a project in a folder that other users cannot enter', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-private-'));
  const project = join(directory, 'only-root', 'project');
  mkdirSync(project, { recursive: true, mode: 0o700 });
  execFileSync('mount', ['--bind', root, project]);
  const node = join(project, 'node_modules/.bin/node');
  const script = join(directory, 'up.ts');
  writeFileSync(
    script,
    `import { upMesh } from ${JSON.stringify(join(project, 'local/up.ts'))};
const mesh = await upMesh({ mesh: ${JSON.stringify(name)}, weftDir: ${JSON.stringify(join(directory, '.weft'))} });
process.on('SIGTERM', () => void mesh.close().then(() => process.exit(0)));
console.log('up');
`,
  );
  try {
    // Through a shell: setpriv itself still has its capabilities when it looks up the program.
    const alone = await run('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c', `${node} -v`]);
    assert.notEqual(alone.code, 0, 'the folder is no obstacle: this test proves nothing');
    const child = spawn(node, ['--experimental-ffi', '--disable-warning=ExperimentalWarning', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    try {
      await Promise.race([
        once(child.stdout, 'data'),
        ended.then(([code]) => assert.fail(`the mesh ended with ${code}`)),
      ]);
      const kubectl = (args: readonly string[], input?: string) =>
        run('kubectl', ['--kubeconfig', join(directory, '.weft/kubeconfig'), ...args], input, {
          ...process.env,
          HOME: directory,
        });
      const look =
        "console.log(process.getuid(), JSON.parse(require('fs').readFileSync(process.argv[1], 'utf8')).name)";
      const container = (uid: number): object => ({
        name: `u${uid}`,
        image: 'node',
        args: ['-e', look, '{project}/package.json'],
        securityContext: { runAsUser: uid },
      });
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'reader', namespace: 'default' },
        spec: { restartPolicy: 'Never', containers: [container(65534), container(1337)] },
      };
      const applied = await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
      assert.equal(applied.code, 0, applied.stderr);
      await until('both have read it', async () => {
        const { stdout } = await kubectl(['get', 'pod', 'reader', '-o', 'jsonpath={.status.phase}']);
        assert.notEqual(stdout, 'Failed', (await kubectl(['logs', 'reader', '--all-containers'])).stdout);
        return stdout === 'Succeeded' ? true : undefined;
      });
      assert.match((await kubectl(['logs', 'reader', '-c', 'u65534'])).stdout, /^65534 weft/);
      assert.match((await kubectl(['logs', 'reader', '-c', 'u1337'])).stdout, /^1337 weft/);
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
    assert.equal(existsSync(`/run/weft/${name}`), false);
  } finally {
    await downMesh(name);
    execFileSync('umount', ['-l', project]);
    rmSync(directory, { recursive: true, force: true });
  }
});
