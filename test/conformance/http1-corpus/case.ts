/** Cases as data: bytes that are sent, and what must come of them. Texts are octets, one character each (Latin-1). */

/** A request as the application must have seen it. */
export interface Forwarded {
  readonly method: string;
  readonly target: string;
  readonly body: string;
  /** Of these fields, by lower-case name: the value, or undefined where it must not be there. */
  readonly fields: Readonly<Record<string, string | undefined>>;
}

export interface RequestCase {
  readonly name: string;
  /** Section of an RFC, or the family of attacks. */
  readonly rule: string;
  /** Written one after the other, each for itself. */
  readonly writes: readonly string[];
  /** Exactly these arrive upstream, whoever parses, and are answered with 200. */
  readonly forwarded: readonly Forwarded[];
  /** Status of the answer of the proxy's own that follows; 0: there is none. */
  readonly refused: number;
  /** What becomes of the connection afterwards. */
  readonly after: 'kept' | 'closed';
  /** The client closes its side after the last byte. */
  readonly halfClose: boolean;
  /** Needs more than the codec: paths are normalised and routed behind it. */
  readonly needs: 'codec' | 'sidecar';
}

export type CaseOptions = Partial<Pick<RequestCase, 'after' | 'halfClose' | 'needs' | 'refused' | 'forwarded'>>;

/** What an attacker wants to be taken for a request of its own. */
export const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n';

export const get = (target = '/', fields: Forwarded['fields'] = {}): Forwarded => ({
  method: 'GET',
  target,
  body: '',
  fields,
});

export const post = (body: string, target = '/', fields: Forwarded['fields'] = {}): Forwarded => ({
  method: 'POST',
  target,
  body,
  fields,
});

type Bytes = string | readonly string[];
const writesOf = (bytes: Bytes): readonly string[] => (typeof bytes === 'string' ? [bytes] : bytes);

/** Answered by the proxy itself, and the connection ends: nobody knows where a next request would begin. */
export const refused = (
  rule: string,
  name: string,
  bytes: Bytes,
  status = 400,
  options: CaseOptions = {},
): RequestCase => ({
  name,
  rule,
  writes: writesOf(bytes),
  forwarded: [],
  refused: status,
  after: 'closed',
  halfClose: false,
  needs: 'codec',
  ...options,
});

export const forwards = (
  rule: string,
  name: string,
  bytes: Bytes,
  forwarded: readonly Forwarded[],
  options: CaseOptions = {},
): RequestCase => ({
  name,
  rule,
  writes: writesOf(bytes),
  forwarded,
  refused: 0,
  after: 'kept',
  halfClose: false,
  needs: 'codec',
  ...options,
});

/** Octets as they can be read in the name of a case. */
export const shown = (text: string): string =>
  text.length > 60 ? `${shown(text.slice(0, 40))}... (${text.length})` : JSON.stringify(text).slice(1, -1);

/** How the answer of an application has to arrive at the client. */
export interface ResponseCase {
  readonly name: string;
  readonly rule: string;
  readonly method: 'GET' | 'HEAD';
  /** Lines of the request besides the usual ones. */
  readonly requestFields: string;
  /** What the application answers, in these writes. */
  readonly writes: readonly string[];
  /** The application closes afterwards. */
  readonly closes: boolean;
  /** Status that the client sees; 0: none. */
  readonly status: number;
  readonly body: string;
  /** Interim responses before it. */
  readonly interims: readonly number[];
  /** `whole`, or `cut`: the connection ends before what was promised, so that nobody takes it for whole. */
  readonly ends: 'whole' | 'cut';
  /** Whether the connection to the application carries the next request. */
  readonly reused: boolean;
  readonly fields: Readonly<Record<string, string | undefined>>;
}

export type ResponseOptions = Partial<
  Pick<
    ResponseCase,
    'method' | 'requestFields' | 'closes' | 'status' | 'body' | 'interims' | 'ends' | 'reused' | 'fields'
  >
>;

export const answers = (rule: string, name: string, bytes: Bytes, options: ResponseOptions = {}): ResponseCase => ({
  name,
  rule,
  method: 'GET',
  requestFields: '',
  writes: writesOf(bytes),
  closes: false,
  status: 200,
  body: '',
  interims: [],
  ends: 'whole',
  reused: !(options.closes ?? false),
  fields: {},
  ...options,
});

/** No HTTP, or ambiguous: the client gets 502 of the proxy's own, and the connection to the application is not used again. */
export const broken = (rule: string, name: string, bytes: Bytes, options: ResponseOptions = {}): ResponseCase =>
  answers(rule, name, bytes, { status: 502, reused: false, ...options });
