import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Flags that every program of the mesh is started with. */
export const nodeFlags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'] as const;

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
export function program(path: string): { readonly file: string; readonly flags: readonly string[] } {
  const source = join(projectRoot, `${path}.ts`);
  return { file: existsSync(source) ? source : join(projectRoot, `${path}.js`), flags: nodeFlags };
}
