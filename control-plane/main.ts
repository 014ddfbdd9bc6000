/** The control plane's program. */
import { errorText } from '@weft/policies/kit/error-text';
import { createLog } from '@weft/policies/kit/log';
import { parseConfig, usage } from './config.ts';
import { runStatic } from './static/run.ts';

/** FFI and threads are for a signing key on a token. */
function dropTokenRights(): void {
  const { permission } = process;
  if (permission === undefined) return;
  permission.drop('ffi');
  permission.drop('worker');
}

async function main(): Promise<number | undefined> {
  const config = parseConfig(process.argv.slice(2), process.env);
  if (!config.ok) {
    process.stderr.write(`weft-control-plane: ${config.error}\n\n${usage}`);
    return 2;
  }
  if (config.value === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  if (config.value.ca.source !== 'pkcs11') dropTokenRights();
  const log = createLog((line) => process.stdout.write(line));
  const { static: source } = config.value;
  // The first process of a container ends by no signal that it does not listen for, and the start may wait for somebody.
  const endEarly = (): void => process.exit(0);
  process.once('SIGTERM', endEarly);
  // Kubernetes' client takes 50 MB; a static run does without it.
  const started =
    source === undefined
      ? await (await import('./cluster.ts')).runInCluster(config.value, log)
      : await runStatic(config.value, source, log);
  process.off('SIGTERM', endEarly);
  if (!started.ok) {
    process.stderr.write(`weft-control-plane: ${started.error}\n`);
    return 1;
  }
  const { xdsPort, monitoringPort, stop } = started.value;
  log.info('serving', { xdsPort, monitoringPort, trustDomain: config.value.trustDomain });
  const end = (signal: string): void => {
    log.info('stopping', { signal });
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error('stop failed', { error: errorText(error) });
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', () => end('SIGTERM'));
  process.once('SIGINT', () => end('SIGINT'));
  return undefined;
}

const code = await main();
if (code !== undefined) process.exitCode = code;
