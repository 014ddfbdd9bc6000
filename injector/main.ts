/**
 * The injector's program. `init [--undo]` is the init container of a pod; without arguments it is the admission webhook. Each loads only what it needs:
 * the init container runs in every pod.
 */
async function main(args: readonly string[]): Promise<number | undefined> {
  const [command, ...rest] = args;
  // Of what Node's permission model allows this program, each way of running needs one half: netlink is reached by FFI.
  process.permission?.drop(command === 'init' ? 'net' : 'ffi');
  if (command === 'init') return (await import('./redirect/init.ts')).runInit(rest);
  if (command !== undefined) {
    process.stderr.write(`weft-injector: unknown argument ${command}\nUsage: weft-injector [init [--undo]]\n`);
    return 2;
  }
  const [{ parseConfig }, { createLog }, { errorText }, { loadKubeConfig }, { startInjector }] = await Promise.all([
    import('./config.ts'),
    import('@weft/policies/kit/log'),
    import('@weft/policies/kit/error-text'),
    import('./kube/client.ts'),
    import('./serve.ts'),
  ]);
  const config = parseConfig(process.env);
  if (!config.ok) {
    for (const problem of config.error) process.stderr.write(`weft-injector: ${problem}\n`);
    return 2;
  }
  const log = createLog((line) => process.stdout.write(line));
  try {
    const injector = await startInjector(config.value, loadKubeConfig(process.env), log);
    const stop = (): void => {
      injector.stop().then(
        () => process.exit(),
        (error: unknown) => {
          log.error('stop failed', { error: errorText(error) });
          process.exit(1);
        },
      );
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    return undefined;
  } catch (error) {
    process.stderr.write(`weft-injector: ${errorText(error)}\n`);
    return 1;
  }
}

const exitCode = await main(process.argv.slice(2));
if (exitCode !== undefined) process.exitCode = exitCode;
