/** Samples of AuthorizationPolicy. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const rule = (fields: object) => ({ rules: [fields] });

export const authorizationSamples: readonly Sample[] = [
  right('AuthorizationPolicy', 'deny all', {}),
  right('AuthorizationPolicy', 'allow all', rule({})),
  right('AuthorizationPolicy', 'everything', {
    selector: { matchLabels: { app: 'cart', 'example.com/tier': '' } },
    action: 'DENY',
    rules: [
      {
        name: 'no-strangers',
        from: [
          {
            principals: ['spiffe://cluster.local/ns/shop/*', '*', '*/sa/frontend'],
            notPrincipals: ['spiffe://cluster.local/ns/a/sa/b'],
          },
          { namespaces: ['shop', 'team-*', '*-prod'], serviceAccounts: ['frontend', 'shop/frontend'] },
          {
            ipBlocks: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1', '::ffff:10.0.0.0/104'],
            notIpBlocks: ['0.0.0.0/0'],
          },
        ],
        to: [
          {
            methods: ['GET'],
            paths: ['/cart', '/cart/*', '*.png', '*'],
            ports: [80, 443],
            hosts: ['shop.example.com', '*.example.com', 'cart:8080', '[::1]:80'],
          },
          { notMethods: ['POST'], notPaths: ['/admin/*'], notPorts: [22], notHosts: ['evil.example.com'] },
        ],
        when: [{ header: 'X-User', values: ['a', 'b*'], notValues: ['c'] }],
      },
      { name: 'second' },
      {},
    ],
  }),
  wrong('AuthorizationPolicy', 'DENY of nothing', { action: 'DENY' }, 'spec.rules', 'do nothing'),
  wrong('AuthorizationPolicy', 'an empty source', rule({ from: [{}] }), 'spec.rules[0].from[0]', 'match every caller'),
  wrong('AuthorizationPolicy', 'an empty operation', rule({ to: [{}] }), 'spec.rules[0].to[0]', 'match every request'),
  wrong('AuthorizationPolicy', 'no sources', rule({ from: [] }), 'spec.rules[0].from', 'at least 1'),
  wrong(
    'AuthorizationPolicy',
    'a header without values',
    rule({ when: [{ header: 'x' }] }),
    'spec.rules[0].when[0]',
    'needs values',
  ),
  wrong(
    'AuthorizationPolicy',
    'a name twice',
    { rules: [{ name: 'a' }, { name: 'a' }] },
    'spec.rules',
    'one rule name twice',
  ),
  wrong(
    'AuthorizationPolicy',
    'a principal that is no SPIFFE ID',
    rule({ from: [{ principals: ['cluster.local/ns/a/sa/b'] }] }),
    'spec.rules[0].from[0].principals[0]',
    'a SPIFFE ID',
  ),
  wrong(
    'AuthorizationPolicy',
    'a star in the middle',
    rule({ to: [{ paths: ['/a/*/b'] }] }),
    'spec.rules[0].to[0].paths[0]',
    'must be a path',
  ),
  wrong(
    'AuthorizationPolicy',
    'a path with a query',
    rule({ to: [{ paths: ['/a?b'] }] }),
    'spec.rules[0].to[0].paths[0]',
    'must be a path',
  ),
  wrong(
    'AuthorizationPolicy',
    'an address out of range',
    rule({ from: [{ ipBlocks: ['10.0.0.256'] }] }),
    'spec.rules[0].from[0].ipBlocks[0]',
    'CIDR block',
  ),
  wrong(
    'AuthorizationPolicy',
    'a prefix too long',
    rule({ from: [{ notIpBlocks: ['10.0.0.0/33'] }] }),
    'spec.rules[0].from[0].notIpBlocks[0]',
    'CIDR block',
  ),
  wrong('AuthorizationPolicy', 'port 0', rule({ to: [{ ports: [0] }] }), 'spec.rules[0].to[0].ports[0]', 'at least 1'),
  wrong(
    'AuthorizationPolicy',
    'a label key with a space',
    { selector: { matchLabels: { 'a b': 'c' } } },
    'spec.selector.matchLabels["a b"]',
    'a label key',
  ),
  wrong(
    'AuthorizationPolicy',
    'seventeen labels',
    { selector: { matchLabels: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, 'x'])) } },
    'spec.selector.matchLabels',
    'at most 16 labels',
  ),
  wrong('AuthorizationPolicy', 'an unknown action', { action: 'LOG' }, 'spec.action', 'one of ALLOW, DENY, AUDIT'),
  wrong(
    'AuthorizationPolicy',
    'from as an object',
    rule({ from: { namespaces: ['a'] } }),
    'spec.rules[0].from',
    'a list',
  ),
];
