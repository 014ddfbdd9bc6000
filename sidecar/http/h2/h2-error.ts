import { malformedRequest, type ProxyError } from '../errors.ts';
import { ErrorCode } from './frames.ts';

/** `message`: a malformed request or response, which is a stream error with an answer before it where there can be one. */
type Scope = 'connection' | 'stream' | 'message';

interface Rule {
  readonly scope: Scope;
  readonly code: ErrorCode;
  readonly section: string;
}

const rule = (scope: Scope, code: ErrorCode, section: string): Rule => ({ scope, code, section: `RFC ${section}` });
const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, STREAM_CLOSED, ENHANCE_YOUR_CALM } = ErrorCode;

/** Everything a peer can do wrong, what it ends and with which code: the one place that says so. */
const RULES = {
  preface: rule('connection', PROTOCOL_ERROR, '9113 section 3.4'),
  'frame-size': rule('connection', FRAME_SIZE_ERROR, '9113 section 4.2'),
  'frame-stream': rule('connection', PROTOCOL_ERROR, '9113 section 6'),
  'priority-size': rule('stream', FRAME_SIZE_ERROR, '9113 section 6.3'),
  'self-dependency': rule('stream', PROTOCOL_ERROR, '7540 section 5.3.1'),
  padding: rule('connection', PROTOCOL_ERROR, '9113 section 6.1'),
  push: rule('connection', PROTOCOL_ERROR, '9113 section 8.4'),
  continuation: rule('connection', PROTOCOL_ERROR, '9113 section 6.10'),
  hpack: rule('connection', ErrorCode.COMPRESSION_ERROR, '9113 section 4.3'),
  'stream-id': rule('connection', PROTOCOL_ERROR, '9113 section 5.1.1'),
  'idle-stream': rule('connection', PROTOCOL_ERROR, '9113 section 5.1'),
  'closed-stream': rule('connection', STREAM_CLOSED, '9113 section 5.1'),
  'half-closed-stream': rule('stream', STREAM_CLOSED, '9113 section 5.1'),
  'settings-value': rule('connection', PROTOCOL_ERROR, '9113 section 6.5.2'),
  'settings-window': rule('connection', FLOW_CONTROL_ERROR, '9113 section 6.5.2'),
  'settings-timeout': rule('connection', ErrorCode.SETTINGS_TIMEOUT, '9113 section 6.5.3'),
  'window-increment': rule('connection', PROTOCOL_ERROR, '9113 section 6.9'),
  'stream-window-increment': rule('stream', PROTOCOL_ERROR, '9113 section 6.9'),
  'window-overflow': rule('connection', FLOW_CONTROL_ERROR, '9113 section 6.9.1'),
  'stream-window-overflow': rule('stream', FLOW_CONTROL_ERROR, '9113 section 6.9.1'),
  'window-exceeded': rule('connection', FLOW_CONTROL_ERROR, '9113 section 6.9'),
  'stream-window-exceeded': rule('stream', FLOW_CONTROL_ERROR, '9113 section 6.9'),
  'concurrent-streams': rule('stream', ErrorCode.REFUSED_STREAM, '9113 section 5.1.2'),

  'continuation-flood': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5.1'),
  'reset-flood': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),
  'control-flood': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),
  'empty-frame-flood': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),
  'window-update-flood': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),
  'reply-flood': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),
  'head-timeout': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),
  'send-stalled': rule('connection', ENHANCE_YOUR_CALM, '9113 section 10.5'),

  'head-too-large': rule('message', ENHANCE_YOUR_CALM, '6585 section 5'),
  'too-many-fields': rule('message', ENHANCE_YOUR_CALM, '6585 section 5'),
  'target-too-long': rule('message', ENHANCE_YOUR_CALM, '9110 section 15.5.15'),
  'field-too-long': rule('message', ENHANCE_YOUR_CALM, '6585 section 5'),
  'content-too-large': rule('message', ENHANCE_YOUR_CALM, '9110 section 15.5.14'),
  'pseudo-field': rule('message', PROTOCOL_ERROR, '9113 section 8.3'),
  field: rule('message', PROTOCOL_ERROR, '9113 section 8.2.1'),
  'connection-field': rule('message', PROTOCOL_ERROR, '9113 section 8.2.2'),
  'method-too-long': rule('message', PROTOCOL_ERROR, '9110 section 15.6.2'),
  method: rule('message', PROTOCOL_ERROR, '9110 section 9.1'),
  scheme: rule('message', PROTOCOL_ERROR, '9113 section 8.3.1'),
  authority: rule('message', PROTOCOL_ERROR, '9113 section 8.3.1'),
  path: rule('message', PROTOCOL_ERROR, '9113 section 8.3.1'),
  'content-length': rule('message', PROTOCOL_ERROR, '9113 section 8.1.1'),
  'data-before-head': rule('message', PROTOCOL_ERROR, '9113 section 8.1'),
  trailers: rule('message', PROTOCOL_ERROR, '9113 section 8.1'),
  connect: rule('message', PROTOCOL_ERROR, '9113 section 8.5'),
  expectation: rule('message', PROTOCOL_ERROR, '9110 section 10.1.1'),
  'framing-alias': rule('message', PROTOCOL_ERROR, '3875 section 4.1.18'),
  'extended-connect': rule('message', PROTOCOL_ERROR, '8441 section 4'),
  status: rule('message', PROTOCOL_ERROR, '9113 section 8.3.2'),
  interim: rule('message', PROTOCOL_ERROR, '9113 section 8.1'),
} as const;

export type H2ErrorKind = keyof typeof RULES;

/** What a peer did wrong, by which rule, and what that ends. */
export interface H2Error {
  readonly kind: H2ErrorKind;
  readonly scope: Scope;
  readonly code: ErrorCode;
  /** `RFC 9113 section 5.1`. */
  readonly section: string;
  readonly detail: string;
}

export function h2Error(kind: H2ErrorKind, detail: string): H2Error {
  const { scope, code, section } = RULES[kind];
  return { kind, scope, code, section, detail };
}

/** Where the rule that was broken has a section of its own. */
export function h2ErrorOf(kind: H2ErrorKind, section: string, detail: string): H2Error {
  return { ...h2Error(kind, detail), section };
}

export function requestError(error: H2Error): ProxyError {
  const { kind, detail, section } = error;
  if (kind !== 'head-timeout' && kind !== 'settings-timeout') return malformedRequest(error, requestStatus(kind));
  return { source: 'downstream', flag: 'DT', status: 408, retry: 'no', detail: `${detail} (${section})` };
}

function requestStatus(kind: H2ErrorKind): number {
  switch (kind) {
    case 'head-too-large':
    case 'too-many-fields':
    case 'field-too-long':
      return 431;
    case 'target-too-long':
      return 414;
    case 'method-too-long':
      return 501;
    case 'content-too-large':
      return 413;
    case 'expectation':
      return 417;
    default:
      return 400;
  }
}
