/** The proxies have one core, everything else another. */
export const loadCore = 0;
export const proxyCore = 1;
export const allCores = '0-1';

/** Arguments of taskset that run a command on a core. */
export const onCore = (core: number | string, command: string, args: readonly string[]): readonly string[] => [
  '--cpu-list',
  String(core),
  command,
  ...args,
];
