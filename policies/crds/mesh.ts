/** `Mesh`: settings of the whole mesh, one object named `default`. */
import { z } from 'zod';
import { retryBudget } from './budget.ts';
import { durationBetween } from './formats.ts';
import { meshAuthorizers } from './mesh-authorizers.ts';
import { meshProxy } from './mesh-proxy.ts';
import { meshTrust } from './mesh-trust.ts';
import { conditions } from './object.ts';
import { text } from './schema.ts';

const tracing = z
  .strictObject({
    otlpEndpoint: text(
      /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/,
      'a URL such as `http://otel-collector.observability.svc:4317`',
      { min: 8, max: 2048 },
    ).describe('Where spans go: an OTLP receiver, such as an OpenTelemetry collector or Jaeger.'),
    protocol: z
      .enum(['grpc', 'http'])
      .default('grpc')
      .describe('OTLP/gRPC (usually port 4317) or OTLP/HTTP (usually port 4318).'),
    samplingPercent: z
      .number()
      .min(0)
      .max(100)
      .default(1)
      .describe(
        'Share of the traces begun in the mesh that is recorded. A decision that arrives with a request is kept.',
      ),
  })
  .describe('Where spans go. Without it none are recorded; trace context is handed on all the same.');

export const meshSpec = z
  .strictObject({
    mtls: z
      .strictObject({
        mode: z
          .enum(['PERMISSIVE', 'STRICT'])
          .default('PERMISSIVE')
          .describe('PERMISSIVE takes mutual TLS and plaintext on every port; STRICT takes mutual TLS alone.'),
        minimum: z
          .enum(['PERMISSIVE', 'STRICT'])
          .optional()
          .describe(
            'The weakest mode that holds anywhere. A weaker one, of `mode` or of an AuthenticationPolicy of a namespace, workload or port, counts as this one, and the status of the policy says so. Without it policies may be as weak as they like.',
          ),
      })
      .prefault({})
      .describe('What the server side of a connection accepts.'),
    tracing: tracing.optional(),
    accessLog: z
      .strictObject({
        mode: z
          .enum(['None', 'Errors', 'All'])
          .default('Errors')
          .describe('Which requests the sidecars log. Errors: status 5xx, reset, or refused by a policy.'),
      })
      .prefault({})
      .describe('The access log of the sidecars: one JSON object a line.'),
    certificates: z
      .strictObject({
        ttl: durationBetween('1m', '2160h')
          .default('1h')
          .describe('How long a workload certificate is valid. It is renewed after half of that.'),
        announce: durationBetween('1s', '720h')
          .default('10m')
          .describe(
            'How long a new root is trusted by everybody before certificates are signed under it, when one root takes the place of another. Long enough for the bundle to reach every workload.',
          ),
      })
      .prefault({})
      .describe('Workload certificates.'),
    proxy: meshProxy.prefault({}),
    trust: meshTrust.prefault({}),
    outbound: z
      .enum(['Allow', 'RegistryOnly'])
      .default('Allow')
      .describe(
        'What happens to connections that leave the mesh and that no ExternalService is for. Allow: they go where they were going, and are counted. RegistryOnly: they are refused.',
      ),
    trustedHops: z
      .int()
      .min(0)
      .max(16)
      .default(0)
      .describe(
        'Proxies in front of the mesh that append who connected to them to X-Forwarded-For, and are believed. 0: none, whoever connects is the client. Pods say otherwise by the annotation `proxy.weft.dev/trusted-hops`.',
      ),
    authorizers: meshAuthorizers.default([]),
    retryBudget: retryBudget.prefault({}).describe('Retry budget of destinations whose policy sets none.'),
  })
  .describe('The desired settings.');

export const meshStatus = z
  .looseObject({
    observedGeneration: z.int().min(0).meta({ format: 'int64' }).optional().describe('The generation last handled.'),
    trustDomain: z
      .string()
      .max(253)
      .optional()
      .describe('Trust domain of every identity in the mesh. It is set when the mesh is installed and shown here.'),
    conditions: conditions({ max: 8 }).optional(),
  })
  .describe('Written by the control plane.');
