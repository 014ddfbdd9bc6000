import { resolve } from 'node:path';
import { parse } from 'yaml';

interface BootstrapFiles {
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** Messages of Envoy's API whose `path` is a file that is written, by the end of their type's name. */
const FILE_ACCESS_LOG = 'envoy.extensions.access_loggers.file.v3.FileAccessLog';

/** Fields with config.core.v3.PathConfigSource, and with a ConfigSource that has a `path` itself. */
const SOURCES = new Set(['path_config_source', 'pathConfigSource', 'eds_config', 'edsConfig']);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/**
 * The files that an Envoy bootstrap names, so that the proxy may touch those and no others. The proxy itself reads the
 * bootstrap and says what is wrong with it: here what cannot be read names nothing.
 */
export function bootstrapFiles(text: string): BootstrapFiles {
  const read = new Set<string>();
  const write = new Set<string>();
  const walk = (value: unknown, key: string): void => {
    if (Array.isArray(value)) for (const item of value) walk(item, key);
    if (!isObject(value) || Array.isArray(value)) return;
    const { filename, path } = value;
    // config.core.v3.DataSource
    if (typeof filename === 'string') read.add(resolve(filename));
    if (typeof path === 'string' && String(value['@type']).endsWith(FILE_ACCESS_LOG)) write.add(resolve(path));
    if (typeof path === 'string' && SOURCES.has(key)) read.add(resolve(path));
    // config.core.v3.Pipe of the admin interface, whose old socket is removed; an abstract one (@) is no file.
    if (typeof path === 'string' && key === 'pipe' && !path.startsWith('@')) write.add(resolve(path));
    for (const [name, item] of Object.entries(value)) walk(item, name);
  };
  try {
    walk(parse(text, { maxAliasCount: 100 }), '');
  } catch {
    return { read: [], write: [] };
  }
  return { read: [...read], write: [...write] };
}
