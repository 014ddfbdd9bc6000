import type { HttpEdge } from '../model/edge.ts';
import type { At } from './decoding.ts';
import { HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores } from './gen/envoy/config/core/v3/protocol_pb.ts';
import {
  HttpConnectionManager_ForwardClientCertDetails as ClientCert,
  type HttpConnectionManager,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
  HttpConnectionManager_PathWithEscapedSlashesAction as Slashes,
} from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';

/** Stands for every protocol, to Weft alone: Envoy has no such thing, and reads it as a name that nobody asks for. */
const ANY = '*';
const ANY_UPGRADE: readonly string[] = ['websocket', 'CONNECT', ANY];

/** Envoy calls itself `envoy` there. */
const SERVER_NAME_DEFAULT = 'weft';

const serverModes = {
  passthrough: ServerHeader.PASS_THROUGH,
  overwrite: ServerHeader.OVERWRITE,
  'append-if-absent': ServerHeader.APPEND_IF_ABSENT,
} as const satisfies Record<HttpEdge['serverHeader']['mode'], ServerHeader>;

const certModes = {
  sanitize: ClientCert.SANITIZE,
  'forward-only': ClientCert.FORWARD_ONLY,
  'append-forward': ClientCert.APPEND_FORWARD,
  'sanitize-set': ClientCert.SANITIZE_SET,
  'always-forward-only': ClientCert.ALWAYS_FORWARD_ONLY,
} as const satisfies Record<HttpEdge['clientCert']['mode'], ClientCert>;

const underscoreActions = {
  allow: Underscores.ALLOW,
  reject: Underscores.REJECT_REQUEST,
  drop: Underscores.DROP_HEADER,
} as const satisfies Record<HttpEdge['underscores'], Underscores>;

const slashActions = {
  keep: Slashes.KEEP_UNCHANGED,
  reject: Slashes.REJECT_REQUEST,
  redirect: Slashes.UNESCAPE_AND_REDIRECT,
  forward: Slashes.UNESCAPE_AND_FORWARD,
} as const satisfies Record<HttpEdge['escapedSlashes'], Slashes>;

export const encodeEdge = (edge: HttpEdge) => ({
  // Said only where it is so: `false` asks for something that Weft does not do.
  ...(edge.useRemoteAddress ? { useRemoteAddress: true } : {}),
  skipXffAppend: !edge.appendForwardedFor,
  generateRequestId: edge.requestId.generate,
  preserveExternalRequestId: edge.requestId.preserveExternal,
  alwaysSetRequestIdInResponse: edge.requestId.inResponse,
  serverHeaderTransformation: serverModes[edge.serverHeader.mode],
  serverName: edge.serverHeader.name,
  via: edge.via,
  forwardClientCertDetails: certModes[edge.clientCert.mode],
  setCurrentClientCertDetails: { dns: edge.clientCert.dns, uri: edge.clientCert.uri },
  ...(edge.hostPort === 'strip-any' ? { stripPortMode: { case: 'stripAnyHostPort' as const, value: true } } : {}),
  stripMatchingHostPort: edge.hostPort === 'strip-matching',
  upgradeConfigs: (edge.upgrades ?? ANY_UPGRADE).map((upgradeType) => ({ upgradeType })),
  mergeSlashes: edge.mergeSlashes,
  pathWithEscapedSlashesAction: slashActions[edge.escapedSlashes],
});

export const encodeUnderscores = (edge: HttpEdge): Underscores => underscoreActions[edge.underscores];

export function decodeEdge(message: HttpConnectionManager, at: At): HttpEdge {
  if (message.useRemoteAddress === false) {
    at.field('use_remote_address').fail('Weft believes forwarded headers only of xff_num_trusted_hops', undefined);
  }
  const outside = message.useRemoteAddress ?? false;
  const underscores = message.commonHttpProtocolOptions?.headersWithUnderscoresAction ?? Underscores.ALLOW;
  return {
    useRemoteAddress: outside,
    appendForwardedFor: !message.skipXffAppend,
    requestId: {
      generate: message.generateRequestId ?? true,
      // Envoy replaces the id at its edge, which is where it uses the remote address.
      preserveExternal: message.preserveExternalRequestId || !outside,
      inResponse: message.alwaysSetRequestIdInResponse,
    },
    serverHeader: decodeServer(message, at),
    via: message.via,
    clientCert: decodeClientCert(message, at),
    hostPort: decodeHostPort(message, at),
    underscores:
      keyOf(underscoreActions, underscores) ??
      at.field('common_http_protocol_options').field('headers_with_underscores_action').fail('unknown', 'allow'),
    upgrades: decodeUpgrades(message, at.field('upgrade_configs')),
    mergeSlashes: message.mergeSlashes,
    escapedSlashes: decodeSlashes(message, at.field('path_with_escaped_slashes_action')),
  };
}

function keyOf<K extends string, V>(table: Readonly<Record<K, V>>, value: V): K | undefined {
  for (const key in table) if (table[key] === value) return key;
  return undefined;
}

/** The default is for the implementation to choose; Envoy keeps them as well. */
function decodeSlashes(
  { pathWithEscapedSlashesAction: action }: HttpConnectionManager,
  at: At,
): HttpEdge['escapedSlashes'] {
  if (action === Slashes.IMPLEMENTATION_SPECIFIC_DEFAULT) return 'keep';
  return keyOf(slashActions, action) ?? at.fail('unknown value', 'keep');
}

function decodeServer(message: HttpConnectionManager, at: At): HttpEdge['serverHeader'] {
  const mode =
    keyOf(serverModes, message.serverHeaderTransformation) ??
    at
      .field('server_header_transformation')
      .fail('has to be OVERWRITE, APPEND_IF_ABSENT or PASS_THROUGH', 'passthrough');
  if (mode === 'passthrough') {
    if (message.serverName !== '') at.field('server_name').fail('is without effect with PASS_THROUGH', undefined);
    return { mode, name: '' };
  }
  return { mode, name: message.serverName === '' ? SERVER_NAME_DEFAULT : message.serverName };
}

function decodeClientCert(message: HttpConnectionManager, at: At): HttpEdge['clientCert'] {
  const mode =
    keyOf(certModes, message.forwardClientCertDetails) ??
    at.field('forward_client_cert_details').fail('unknown value', 'sanitize');
  const details = message.setCurrentClientCertDetails;
  return { mode, dns: details?.dns ?? false, uri: details?.uri ?? false };
}

function decodeHostPort({ stripMatchingHostPort, stripPortMode }: HttpConnectionManager, at: At): HttpEdge['hostPort'] {
  const any = stripPortMode.case === 'stripAnyHostPort' && stripPortMode.value;
  if (any && stripMatchingHostPort) {
    at.field('strip_any_host_port').fail('strip_matching_host_port is set as well', undefined);
  }
  if (any) return 'strip-any';
  return stripMatchingHostPort ? 'strip-matching' : 'keep';
}

function decodeUpgrades({ upgradeConfigs }: HttpConnectionManager, at: At): readonly string[] | undefined {
  const allowed = upgradeConfigs.filter(({ enabled }) => enabled !== false);
  for (const [i, { upgradeType }] of upgradeConfigs.entries()) {
    if (upgradeType === '') at.index(i).field('upgrade_type').fail('is required', undefined);
  }
  const names = allowed.map(({ upgradeType }) => upgradeType.toLowerCase());
  return names.includes(ANY) ? undefined : names;
}
