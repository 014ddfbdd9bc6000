/** Authorizers of the Mesh, which act through the policies of action CUSTOM in the world of the fields. */
import type { FieldSample } from './field-samples.testing.ts';

const target = { namespace: 'shop', name: 'cart', port: 80 };
const grpc = { target };
const http = { target };
const one = (authorizer: object): object => ({ authorizers: [{ name: 'opa', ...authorizer }] });
const asked = (...settings: readonly object[]): FieldSample => ({
  specs: settings.map((setting) => one({ grpc, ...setting })),
});
const targets = (field: string, values: readonly unknown[]): readonly object[] =>
  values.map((value) => ({ target: { ...target, [field]: value } }));
const byGrpc = (field: string, values: readonly unknown[]): FieldSample => ({
  specs: targets(field, values).map((all) => one({ grpc: all })),
});
const byHttp = (field: string, values: readonly unknown[]): FieldSample => ({
  specs: targets(field, values).map((all) => one({ http: all })),
});
const setting = (field: string, values: readonly unknown[]): FieldSample => ({
  specs: values.map((value) => one({ http: { ...http, [field]: value } })),
});
const kinds = ['Service', 'ExternalService'];
const names = ['cart', 'other'];

export const authorizerFields: Readonly<Record<string, FieldSample>> = {
  'authorizers[].name': { specs: ['opa', 'other'].map((name) => ({ authorizers: [{ name, grpc }] })) },
  'authorizers[].grpc.target.kind': byGrpc('kind', kinds),
  'authorizers[].grpc.target.namespace': byGrpc('namespace', names),
  'authorizers[].grpc.target.name': byGrpc('name', names),
  'authorizers[].grpc.target.port': byGrpc('port', [80, 81]),
  'authorizers[].grpc.headersToUpstream[]': {
    specs: [['x-a'], ['x-a*']].map((headersToUpstream) => one({ grpc: { target, headersToUpstream } })),
  },
  'authorizers[].http.target.kind': byHttp('kind', kinds),
  'authorizers[].http.target.namespace': byHttp('namespace', names),
  'authorizers[].http.target.name': byHttp('name', names),
  'authorizers[].http.target.port': byHttp('port', [80, 81]),
  'authorizers[].http.pathPrefix': setting('pathPrefix', ['/a', '/b']),
  'authorizers[].http.headersToUpstream[]': setting('headersToUpstream', [['x-a'], ['x-a*']]),
  'authorizers[].http.headersToClient[]': setting('headersToClient', [['x-a'], ['x-b']]),
  'authorizers[].http.headersToClientOnSuccess[]': setting('headersToClientOnSuccess', [['x-a'], ['x-b']]),
  'authorizers[].timeout': asked({ timeout: '1s' }, { timeout: '2s' }),
  'authorizers[].failure': asked({ failure: 'Deny' }, { failure: 'Allow' }),
  'authorizers[].failureStatus': asked({ failureStatus: 403 }, { failureStatus: 503 }),
  'authorizers[].requestHeaders[]': asked({ requestHeaders: ['x-a'] }, { requestHeaders: ['*'] }),
  'authorizers[].body.maxBytes': asked({ body: { maxBytes: 1 } }, { body: { maxBytes: 2 } }),
  'authorizers[].body.allowPartial': asked(
    { body: { maxBytes: 1, allowPartial: false } },
    { body: { maxBytes: 1, allowPartial: true } },
  ),
};
