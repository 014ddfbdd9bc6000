/** What a request is about, as Kubernetes reads it off method and path. */
export interface RequestInfo {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Set for resource requests. */
  readonly resource: ResourcePath | undefined;
}

export interface ResourcePath {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
  /** What follows the subresource: only the proxy ones have a path of their own. */
  readonly tail: readonly string[];
}

/** Undefined for a target that no URL can be made of. */
export function readRequest(method: string, target: string): RequestInfo | undefined {
  if (!target.startsWith('/')) return undefined;
  let url: URL;
  let segments: string[];
  try {
    url = new URL(`https://api.invalid${target.replace(/^\/+/, '/')}`);
    segments = url.pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
  return {
    method,
    path: url.pathname,
    query: url.searchParams,
    resource: readResource(method, segments, url.searchParams),
  };
}

/** Subresources of namespaces themselves; anything else after a namespace's name is a resource in it. */
const namespaceSubresources = new Set(['status', 'finalize']);

function readResource(method: string, segments: readonly string[], query: URLSearchParams): ResourcePath | undefined {
  const [prefix, ...rest] = segments;
  let group = '';
  if (prefix === 'apis') group = rest.shift() ?? '';
  else if (prefix !== 'api') return undefined;
  const version = rest.shift();
  if (version === undefined || (prefix === 'apis' && group === '')) return undefined;
  let forcedWatch = false;
  if (rest[0] === 'watch' && rest.length > 1) {
    rest.shift();
    forcedWatch = true;
  }
  let namespace = '';
  if (rest[0] === 'namespaces' && rest[1] !== undefined) {
    const isItself = rest[2] === undefined || (namespaceSubresources.has(rest[2]) && rest.length === 3);
    if (isItself) namespace = rest[1];
    else {
      namespace = rest[1];
      rest.splice(0, 2);
    }
  }
  const [plural, name = '', subresource = '', ...tail] = rest;
  if (plural === undefined) return undefined;
  const isWatch = forcedWatch || query.get('watch') === 'true' || query.get('watch') === '1';
  return {
    verb: verbOf(method, name, isWatch && subresource === ''),
    group,
    version,
    namespace,
    plural,
    name,
    subresource,
    tail,
  };
}

function verbOf(method: string, name: string, isWatch: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return isWatch ? 'watch' : name === '' ? 'list' : 'get';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      return method.toLowerCase();
  }
}
