import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type DecodedMessage,
  decodeAttributes,
  findAttribute,
  readHostI32,
  readHostU32,
  readText,
} from './attributes.ts';
import {
  describeErrno,
  type NetlinkSocket,
  openNetfilterSocket,
  SEND_BYTES_MAX,
  type SystemCallError,
} from './netlink.ts';
import { type Batch, encodeDeleteTable, encodeDumpRules, encodeRuleset, type InvalidRuleset } from './nft-encode.ts';
import type { Family, Ruleset } from './ruleset.ts';

/** nf_tables of this process's network namespace, without the `nft` program. */

export interface Refusal {
  /** Which table, chain, set or rule the kernel refused. */
  readonly subject: string;
  readonly code: string;
  readonly reason: string;
}

export type NetlinkError =
  | InvalidRuleset
  | SystemCallError
  | { readonly kind: 'refused'; readonly refusals: readonly Refusal[] }
  | { readonly kind: 'too-large'; readonly bytes: number; readonly bytesMax: number }
  | { readonly kind: 'no-answer' };

/** One line for a log. */
export function describeNetlinkError(error: NetlinkError): string {
  switch (error.kind) {
    case 'invalid-ruleset':
      return `invalid ruleset: ${error.problems.join('; ')}`;
    case 'system-call':
      return error.message;
    case 'refused':
      return error.refusals.map((refusal) => `${refusal.subject}: ${refusal.reason} (${refusal.code})`).join('; ');
    case 'too-large':
      return `the transaction has ${error.bytes} bytes, more than ${error.bytesMax}`;
    case 'no-answer':
      return 'the kernel did not acknowledge the transaction';
  }
}

/** The process lacks the right to change the network namespace. */
export const isPermissionError = (error: NetlinkError): boolean =>
  (error.kind === 'system-call' && error.code === 'EPERM') ||
  (error.kind === 'refused' && error.refusals.some((refusal) => refusal.code === 'EPERM'));

const NLMSG_ERROR = 2;
const NLM_F_ACK_TLVS = 0x200;
const EXT_ACK_MESSAGE = 1;
/** nlmsgerr: the error, then the header of the request it answers. */
const ERROR_HEAD_BYTES = 4 + 16;
const NFGEN_BYTES = 4;
const MSG_NEW_RULE = (10 << 8) | 6;

interface Answer {
  readonly sequence: number;
  readonly errno: number;
  readonly text: string | undefined;
}

function readAnswer(message: DecodedMessage): Answer | undefined {
  if (message.type !== NLMSG_ERROR || message.payload.length < ERROR_HEAD_BYTES) return undefined;
  const errno = -readHostI32(message.payload, 0);
  const attributes =
    (message.flags & NLM_F_ACK_TLVS) === 0 ? undefined : decodeAttributes(message.payload.subarray(ERROR_HEAD_BYTES));
  const text = attributes === undefined ? undefined : findAttribute(attributes, EXT_ACK_MESSAGE);
  return {
    sequence: readHostU32(message.payload, 12),
    errno,
    text: text === undefined ? undefined : readText(text),
  };
}

function commit(socket: NetlinkSocket, batch: Batch): Result<void, NetlinkError> {
  if (batch.bytes.length > SEND_BYTES_MAX)
    return err({ kind: 'too-large', bytes: batch.bytes.length, bytesMax: SEND_BYTES_MAX });
  const messages = socket.request(batch.bytes);
  if (!messages.ok) return messages;
  const answers = messages.value.map(readAnswer).filter((answer) => answer !== undefined);
  const refusals = answers
    .filter((answer) => answer.errno !== 0)
    .map((answer) => {
      const { code, text } = describeErrno(answer.errno);
      return {
        subject: batch.subjects.get(answer.sequence) ?? 'the transaction',
        code,
        reason: answer.text ?? text,
      };
    });
  if (refusals.length > 0) return err({ kind: 'refused', refusals });
  return answers.some((answer) => answer.sequence === batch.ackSequence) ? ok(undefined) : err({ kind: 'no-answer' });
}

function withSocket<T>(use: (socket: NetlinkSocket) => Result<T, NetlinkError>): Result<T, NetlinkError> {
  const socket = openNetfilterSocket();
  if (!socket.ok) return socket;
  try {
    return use(socket.value);
  } finally {
    socket.value.close();
  }
}

/** Makes the table exactly this, in one transaction: other packets see the old rules or the new ones. Doing it again changes nothing. */
export function applyRuleset(ruleset: Ruleset): Result<void, NetlinkError> {
  const batch = encodeRuleset(ruleset);
  return batch.ok ? withSocket((socket) => commit(socket, batch.value)) : batch;
}

/** Removes the table with all that is in it; a table that is not there is fine. */
export function deleteTable(family: Family, table: string): Result<void, NetlinkError> {
  return withSocket((socket) => commit(socket, encodeDeleteTable(family, table)));
}

interface InstalledRule {
  readonly chain: string;
  readonly name: string;
}

/** The rules the kernel has in a table, in order; none when there is no such table. */
export function listRules(family: Family, table: string): Result<InstalledRule[], NetlinkError> {
  return withSocket((socket) => {
    const messages = socket.request(encodeDumpRules(family, table));
    if (!messages.ok) return messages;
    const rules: InstalledRule[] = [];
    for (const message of messages.value) {
      if (message.type === NLMSG_ERROR) {
        const errno = readAnswer(message)?.errno ?? 0;
        const { code, text } = describeErrno(errno);
        if (errno !== 0 && code !== 'ENOENT')
          return err({ kind: 'refused', refusals: [{ subject: `table ${family} ${table}`, code, reason: text }] });
      }
      if (message.type !== MSG_NEW_RULE) continue;
      const attributes = decodeAttributes(message.payload.subarray(NFGEN_BYTES)) ?? [];
      const owner = findAttribute(attributes, 1);
      const chain = findAttribute(attributes, 2);
      const comment = findAttribute(attributes, 7);
      if (owner === undefined || readText(owner) !== table || chain === undefined) continue;
      rules.push({ chain: readText(chain), name: comment === undefined ? '' : readText(comment.subarray(2)) });
    }
    return ok(rules);
  });
}
