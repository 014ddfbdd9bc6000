import { Environment } from '@marcbachmann/cel-js';

/**
 * The CEL environment of Kubernetes: the language's own functions and the libraries that API validation adds (strings, lists, regex,
 * URLs, quantities are compared as numbers, IP addresses).
 */
const options = {
  enableOptionalTypes: true,
  homogeneousAggregateLiterals: false,
  limits: { maxAstNodes: 20000, maxDepth: 100, maxListElements: 1000, maxMapEntries: 1000, maxCallArguments: 32 },
};

type Fn = (...args: never[]) => unknown;

/** What the library has already is left to it: registering a function twice is its error. */
function add(env: Environment, signature: string, handler: Fn): void {
  try {
    env.registerFunction(signature, handler);
  } catch (error) {
    if (!(error instanceof Error) || !/overlap|already|exist|register|conflict/i.test(error.message)) throw error;
  }
}

const regexes = new Map<string, RegExp>();
function regex(pattern: string): RegExp {
  let found = regexes.get(pattern);
  if (found === undefined) {
    const flags = /^\(\?([ims]+)\)/.exec(pattern);
    found = new RegExp(flags === null ? pattern : pattern.slice(flags[0].length), `g${flags?.[1] ?? ''}`);
    if (regexes.size > 1000) regexes.clear();
    regexes.set(pattern, found);
  }
  found.lastIndex = 0;
  return found;
}

class CelUrl {
  readonly url: URL;
  constructor(url: URL) {
    this.url = url;
  }
}

function parseUrl(text: string): CelUrl {
  const base = text.startsWith('/') ? 'http://relative.invalid' : undefined;
  return new CelUrl(new URL(text, base));
}

const isUrl = (text: string): boolean =>
  text.startsWith('/') || (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text));

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  return Number(a) - Number(b);
}

function addStrings(env: Environment): void {
  add(env, 'string.matches(string): bool', (text: string, pattern: string) => regex(pattern).test(text));
  add(env, 'string.find(string): string', (text: string, pattern: string) => regex(pattern).exec(text)?.[0] ?? '');
  add(env, 'string.findAll(string): list<string>', (text: string, pattern: string) => text.match(regex(pattern)) ?? []);
  add(env, 'string.lowerAscii(): string', (text: string) => text.replace(/[A-Z]/g, (c) => c.toLowerCase()));
  add(env, 'string.upperAscii(): string', (text: string) => text.replace(/[a-z]/g, (c) => c.toUpperCase()));
  add(env, 'string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, to),
  );
  add(env, 'string.split(string): list<string>', (text: string, separator: string) => text.split(separator));
  add(env, 'string.trim(): string', (text: string) => text.trim());
  add(env, 'string.charAt(int): string', (text: string, index: bigint) => text.charAt(Number(index)));
  add(env, 'string.reverse(): string', (text: string) => [...text].reverse().join(''));
  add(env, 'string.format(list): string', (template: string, args: unknown[]) => {
    let next = 0;
    return template.replace(/%(%|[sdfxXob]|\.\d+f)/g, (_, verb: string) => {
      if (verb === '%') return '%';
      const arg = args[next++];
      if (verb.endsWith('f') && verb.startsWith('.')) return Number(arg).toFixed(Number(verb.slice(1, -1)));
      return Array.isArray(arg) ? JSON.stringify(arg.map(String)) : String(arg);
    });
  });
  add(env, 'isURL(string): bool', isUrl);
}

function addLists(env: Environment): void {
  add(env, 'list.isSorted(): bool', (list: unknown[]) =>
    list.every((item, i) => i === 0 || compare(list[i - 1], item) <= 0),
  );
  add(env, 'list.sum(): dyn', (list: (bigint | number)[]) =>
    list.every((item) => typeof item === 'bigint')
      ? list.reduce((a, b) => a + b, 0n)
      : list.reduce((a: number, b) => a + Number(b), 0),
  );
  add(env, 'list.min(): dyn', (list: unknown[]) => list.reduce((a, b) => (compare(a, b) <= 0 ? a : b)));
  add(env, 'list.max(): dyn', (list: unknown[]) => list.reduce((a, b) => (compare(a, b) >= 0 ? a : b)));
  add(env, 'list.indexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.indexOf(item)));
  add(env, 'list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.lastIndexOf(item)));
}

function addUrls(env: Environment): void {
  env.registerType('kubernetes.URL', CelUrl);
  add(env, 'url(string): kubernetes.URL', parseUrl);
  add(env, 'kubernetes.URL.getScheme(): string', (value: CelUrl) => value.url.protocol.replace(/:$/, ''));
  add(env, 'kubernetes.URL.getHost(): string', (value: CelUrl) => value.url.host);
  add(env, 'kubernetes.URL.getHostname(): string', (value: CelUrl) => value.url.hostname);
  add(env, 'kubernetes.URL.getPort(): string', (value: CelUrl) => value.url.port);
  add(env, 'kubernetes.URL.getEscapedPath(): string', (value: CelUrl) => value.url.pathname);
}

export function newEnvironment(): Environment {
  const env = new Environment(options);
  addStrings(env);
  addLists(env);
  addUrls(env);
  return env;
}

/** The one-line core of an error of the library, without its source listing. */
export function celProblem(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}
