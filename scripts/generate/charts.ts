/** What the chart renders to: golden files for a few sets of values, and the manifest of the local mesh. */
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { findTool } from '../../test/support/tools.ts';
import { fromYamlStream, toYamlStream } from './yaml.ts';

const header = '# Rendered from charts/weft by `npm run generate`; changes here are lost.\n';
const timeoutMs = 60_000;

/** Parsed and printed again, so that versions of helm that differ in comments and order of keys agree. */
function render(helm: string, root: string, values: string): string {
  const args = [
    'template',
    'weft',
    join(root, 'charts', 'weft'),
    '--namespace',
    'weft-system',
    '--values',
    join(root, values),
  ];
  return header + toYamlStream(fromYamlStream(execFileSync(helm, args, { encoding: 'utf8', timeout: timeoutMs })));
}

export async function chartFiles(root: string): Promise<Map<string, string>> {
  const helm = await findTool('helm');
  const files = new Map<string, string>();
  for (const values of globSync('charts/weft/testdata/*.values.yaml', { cwd: root }).sort()) {
    files.set(values.replace(/\.values\.yaml$/, '.yaml'), render(helm, root, values));
  }
  files.set('local/manifests/weft.yaml', render(helm, root, 'local/manifests/values.yaml'));
  return files;
}
