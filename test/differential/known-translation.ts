/** Known differences in what policies are translated to, beside those of routes in general. */
import { CASE_FIELD, type Case, fieldOf, type Response } from './case.ts';
import { ABSENT } from './compare.ts';
import { header, type KnownDifference } from './known-difference.ts';

const isPreflight = (one: Case): boolean =>
  one.request.method === 'OPTIONS' && header(one, 'access-control-request-method') !== '';
const isAbort = ({ body, fields }: Response): boolean =>
  (body === '' ? fieldOf(fields, 'grpc-message') : body) === 'fault filter abort';

export const knownOfTranslation: readonly KnownDifference[] = [
  {
    name: 'grpc-details',
    why: 'An error of our own says in grpc-status-details-bin what went wrong, for programs to read; Envoy says it in words alone',
    reference: 'docs/decisions/007-grpc.md',
    explains: ({ difference: { what, envoy }, outcome }) =>
      /^(?:response|trailer) grpc-status-details-bin$/.test(what) &&
      envoy === ABSENT &&
      outcome.weft.response.fields.every(([name]) => name.toLowerCase() !== CASE_FIELD),
  },
  {
    name: 'grpc-own-status',
    why: 'A call that is answered here gets the status that says what happened: UNAVAILABLE without a valid backend, DEADLINE_EXCEEDED in time, RESOURCE_EXHAUSTED for 429 and bounds; Envoy knows it by the status of HTTP alone',
    reference: 'Gateway API, GRPCRouteRule.backendRefs; docs/decisions/007-grpc.md',
    explains: ({ difference: { what, weft, envoy }, one, outcome }) =>
      what === 'response grpc-status' &&
      ['14 2', '4 14', '8 14'].includes(`${weft} ${envoy}`) &&
      /^application\/grpc/.test(header(one, 'content-type')) &&
      fieldOf(outcome.weft.response.fields, CASE_FIELD) === undefined,
  },
  {
    name: 'copy-forwarded-for',
    why: 'A copy is the request as the application has sent it; Envoy adds its own address to it',
    reference: 'sidecar/filters/headers/filter.ts: outbound, the application speaks for itself',
    explains: ({ difference: { what, weft, envoy }, outcome }) =>
      what === 'received x-forwarded-for' && weft === ABSENT && envoy !== ABSENT && outcome.weft.copies.length > 0,
  },
  {
    name: 'copy-casing',
    why: 'Names of fields keep their case in copies too; Envoy writes those in lower case',
    reference: 'RFC 9110 section 5.1: names have no case',
    explains: ({ difference: { what, weft, envoy }, outcome }) =>
      what === 'received casing' && weft.toLowerCase() === envoy && outcome.weft.copies.length > 0,
  },
  {
    name: 'copy-protocol',
    why: 'A copy has the version of HTTP that its request has; Envoy speaks HTTP/1.1 where a cluster goes by the client',
    reference: 'Envoy, use_downstream_protocol_config: copies have no downstream of their own',
    explains: ({ difference: { what, weft, envoy }, wires, table }) =>
      what === 'copies' &&
      Number(weft) > Number(envoy) &&
      wires.up === 'h2' &&
      JSON.stringify(table.translated?.clusters).includes('"use_downstream_protocol_config"'),
  },
  {
    name: 'copy-of-unsent',
    why: 'A copy goes out also where nobody is there for its request; Envoy makes it when it has a connection for that',
    reference:
      'Gateway API, HTTPRequestMirrorFilter: nothing about the request depends on its copy, nor the other way round',
    explains: ({ difference: { what, weft, envoy }, outcome }) =>
      what === 'copies' && Number(weft) > Number(envoy) && outcome.weft.received.length === 0,
  },
  {
    name: 'fault-without-route',
    why: 'What a fault answers is no answer of the backend, whose fields a rule changes; Envoy changes those of a fault too',
    reference: 'Gateway API, HTTPRouteFilter.responseHeaderModifier',
    explains: ({ difference: { what, envoy }, one, outcome, table }) =>
      what.startsWith('response ') &&
      envoy !== ABSENT &&
      (one.request.method === 'HEAD' || isAbort(outcome.weft.response)) &&
      fieldOf(outcome.weft.response.fields, CASE_FIELD) === undefined &&
      JSON.stringify(table.virtualHosts).includes('"abort"') &&
      outcome.weft.received.length === 0 &&
      JSON.stringify(table.virtualHosts)
        .toLowerCase()
        .includes(`"key":"${what.slice('response '.length)}"`),
  },
  {
    name: 'answered-before-cluster',
    why: 'What a fault or CORS answers has no cluster in the log: none was chosen; Envoy writes what the route names',
    reference: 'docs/architecture.md, A request, outbound',
    explains: ({ difference: { what, weft, envoy }, one, outcome }) =>
      what === 'log cluster' &&
      weft === '-' &&
      envoy !== '-' &&
      outcome.weft.received.length === 0 &&
      (/^\d+ \S*FI/.test(outcome.weft.log ?? '') || isPreflight(one)),
  },
  {
    name: 'cors-casing',
    why: 'What CORS says takes the place of what the application says of it, in lower case; Envoy keeps the case of what was there',
    reference: 'RFC 9110 section 5.1: names have no case',
    explains: ({ difference: { what, weft, envoy } }) =>
      what === 'response casing' && weft.startsWith('access-control-') && envoy.toLowerCase() === weft,
  },
  {
    name: 'cors-nothing-granted',
    why: 'A preflight of an origin that is not allowed gets none of the fields that allow; Envoy leaves out the origin alone',
    reference: 'Gateway API, HTTPCORSFilter.allowOrigins',
    explains: ({ difference: { what, weft }, one, outcome }) =>
      what.startsWith('response access-control-') &&
      weft === ABSENT &&
      isPreflight(one) &&
      outcome.weft.received.length === 0 &&
      fieldOf(outcome.envoy.response.fields, 'access-control-allow-origin') === undefined,
  },
];
