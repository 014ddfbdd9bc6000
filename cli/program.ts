import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, or the installed package, which is laid out alike. */
export const projectRoot = ((): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'local', 'manifests'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('the folder of weft cannot be found from its own code');
    folder = parent;
  }
  return folder;
})();

/** A program of the mesh: its source in the repository, its bundle in the package. */
export function program(path: string): string {
  const kind = ['.ts', '.cjs'].find((each) => existsSync(join(projectRoot, `${path}${each}`))) ?? '.js';
  return join(projectRoot, `${path}${kind}`);
}

/** It takes the place of this process: one less to hold memory and pass signals on. */
export function becomeProgram(path: string, nodeFlags: readonly string[], args: readonly string[]): never {
  const command = [process.execPath, ...nodeFlags, program(path), ...args];
  process.execve?.(process.execPath, command, { ...process.env } as Record<string, string>);
  throw new Error('this Node cannot replace its process; Node 26 is needed');
}
